"""Dead letters: which record a letter is, and records that claim impossible things of themselves."""

from datetime import UTC, datetime

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from shared.runtime import dead_letters
from shared.runtime.database import Database
from shared.runtime.dead_letters import DeadLetter

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TIMESTAMP = int(NOW.timestamp() * 1000)
OLD, NEW = b'{"id": "old"}', b'{"id": "new"}'


def record(
    offset: int,
    value: bytes | None,
    *,
    timestamp: int = TIMESTAMP,
    key: bytes | None = b"k",
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> ConsumerRecord[bytes | None, bytes | None]:
    return ConsumerRecord(
        topic="email.opened",
        partition=0,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=headers,
    )


async def park(database: Database, *records: ConsumerRecord[bytes | None, bytes | None]) -> None:
    letters = [DeadLetter(one, "unreadable", "no reason") for one in records]
    async with database.begin() as connection:
        await dead_letters.park(connection, letters, consumer_group="g", service="engagement", now=NOW)


async def withdraw(database: Database, *records: ConsumerRecord[bytes | None, bytes | None]) -> None:
    async with database.begin() as connection:
        await dead_letters.withdraw(connection, records, consumer_group="g")


async def kept(administrator: asyncpg.Connection) -> list[tuple[int, bytes]]:
    rows = await administrator.fetch("SELECT partition_offset, value FROM dead_letters ORDER BY id")
    return [tuple(row) for row in rows]


@pytest.fixture(autouse=True)
async def nothing_parked(administrator: asyncpg.Connection) -> None:
    await administrator.execute("TRUNCATE dead_letters")


async def test_a_record_that_comes_again_is_the_same_letter(
    database: Database, administrator: asyncpg.Connection
) -> None:
    for _ in range(2):
        await park(database, record(0, OLD), record(2, OLD))
    assert await kept(administrator) == [(0, OLD), (2, OLD)]
    await withdraw(database, record(0, OLD))
    assert await kept(administrator) == [(2, OLD)]


async def test_a_topic_that_is_created_anew_costs_no_letter(
    database: Database, administrator: asyncpg.Connection
) -> None:
    await park(database, record(0, OLD), record(2, OLD))
    await withdraw(database, record(0, b'{"good": 1}'), record(1, b'{"good": 2}'))
    await park(database, record(2, NEW))
    assert await kept(administrator) == [(0, OLD), (2, OLD), (2, NEW)]


async def test_whatever_differs_makes_another_letter(database: Database, administrator: asyncpg.Connection) -> None:
    others = [
        record(0, OLD),
        record(0, None),
        record(0, b""),
        record(0, OLD, key=None),
        record(0, OLD, timestamp=TIMESTAMP + 1),
        record(0, OLD, headers=(("name", None),)),
        record(0, OLD, headers=(("name", b""),)),
        record(0, OLD, headers=(("nam", b"e"),)),
        record(0, OLD, headers=(("name", None), ("name", None))),
    ]
    await park(database, *others, *others)
    assert len(await kept(administrator)) == len(others)


@pytest.mark.parametrize(
    ("timestamp", "stored"),
    [
        (-1, None),
        (TIMESTAMP, NOW),
        (2**63 - 1, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (-(2**63), None),
    ],
)
async def test_no_timestamp_keeps_a_record_from_being_parked(
    database: Database, administrator: asyncpg.Connection, timestamp: int, stored: datetime | None
) -> None:
    await park(database, record(0, OLD, timestamp=timestamp))
    assert await administrator.fetchval("SELECT message_timestamp FROM dead_letters") == stored


@pytest.mark.parametrize(
    ("value", "headers", "stored"),
    [
        (OLD, (), "old"),
        (b'{"id": "a\\u0000b"}', (), None),
        (b'{"id": "\\ud800"}', (), None),
        (b'{"id": 5}', (), None),
        (None, (), None),
        (b"{", (("ce_id", b"in a header"),), "in a header"),
        (b"{", (("ce_id", b"\xff"),), "\ufffd"),
    ],
)
async def test_the_id_that_a_letter_claims_can_be_looked_up(
    database: Database,
    administrator: asyncpg.Connection,
    value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...],
    stored: str | None,
) -> None:
    await park(database, record(0, value, headers=headers))
    assert await administrator.fetchval("SELECT event_id FROM dead_letters") == stored
