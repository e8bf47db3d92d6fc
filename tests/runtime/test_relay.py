"""The relay: one leader, each SMB's messages in order, and another one that goes on when the leader is gone."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.line import Line
from shared.runtime.outbox_queue import OutgoingMessage, waves
from shared.runtime.outcome import Outcome
from shared.runtime.relay import LOCK, Relay
from shared.schemas.identity import SmbKey
from tests.announced import announcement_of
from tests.installation import Installation, eventually

HOLDERS = f"""
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((CAST(classid AS bigint) << 32) | CAST(objid AS bigint)) = {LOCK}
"""


@asynccontextmanager
async def relays(installation: Installation, count: int) -> AsyncIterator[None]:
    """So many relays, each with a pool of its own as in a process of its own; all end at the shutdown."""
    url = installation.settings.database_url.get_secret_value()
    databases = [Database.create(url) for _ in range(count)]
    lines = [Line("engagement") for _ in range(count)]
    running = [
        asyncio.create_task(Relay(installation.settings, database, line).run())
        for database, line in zip(databases, lines, strict=True)
    ]
    try:
        yield
    finally:
        for line in lines:
            line.shutting_down.set()
        await asyncio.gather(*running)
        for database in databases:
            await database.close()


async def test_a_relay_without_the_lead_rests_although_it_was_woken(installation: Installation) -> None:
    async with relays(installation, 1):
        await eventually(lambda: installation.fetch(HOLDERS), "one leads")
        waiting = Relay(installation.settings, installation.database, Line("engagement"))
        waiting._woken.set()  # noqa: SLF001  as a notification leaves it that comes while the lead is lost
        running = asyncio.create_task(waiting.run())
        await eventually(lambda: not waiting._woken.is_set(), "the wake-up is used up")  # noqa: SLF001
        waiting._line.shutting_down.set()  # noqa: SLF001
        await running


async def tell(installation: Installation, smbs: list[SmbKey], times: int) -> None:
    async def act(_transaction: Transaction, _now: object) -> Outcome:
        return Outcome(announcements=[announcement_of(smb) for smb in smbs])

    for _ in range(times):
        await transact(installation.database, installation.topics, smbs, act)


async def published(installation: Installation) -> None:
    await eventually(lambda: is_empty(installation), "the outbox is empty")


async def is_empty(installation: Installation) -> bool:
    return not await installation.fetch("SELECT FROM outbox")


async def stories(installation: Installation) -> dict[bytes, list[int]]:
    """The numbers on smb.events, per SMB, copies included."""
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for record in await installation.read_topic("smb.events"):
        found[record.key].append(int(dict(record.headers)["ce_sequence"]))
    return found


def message(id_: int, key: bytes) -> OutgoingMessage:
    return OutgoingMessage(id_, "t", key, [], b"", "T", datetime.now(UTC), None)


@pytest.mark.parametrize(
    ("keys", "parted"),
    [
        (b"", []),
        (b"abc", [b"abc"]),
        (b"aaa", [b"a", b"a", b"a"]),
        (b"abacbaad", [b"abcd", b"ab", b"a", b"a"]),
    ],
)
def test_no_wave_holds_two_messages_of_one_key(keys: bytes, parted: list[bytes]) -> None:
    messages = [message(number, bytes([key])) for number, key in enumerate(keys)]
    found = waves(messages)
    assert [b"".join(one.key for one in wave) for wave in found] == parted
    for key in set(keys):
        ids = [one.id for wave in found for one in wave if one.key == bytes([key])]
        assert ids == sorted(ids)
    assert len(messages) == sum(map(len, found))


@pytest.fixture
async def smbs(installation: Installation) -> list[SmbKey]:
    return await installation.add_smbs(5)


async def test_one_leads_and_tells_everything_once_and_in_order(installation: Installation, smbs: list[SmbKey]) -> None:
    await tell(installation, smbs, 3)
    async with relays(installation, 3):
        await published(installation)
        assert len(await installation.fetch(HOLDERS)) == 1
        await tell(installation, smbs[::-1], 4)
        await published(installation)
        assert len(await installation.fetch(HOLDERS)) == 1
    found = await stories(installation)
    assert [found[str(smb.smb_id).encode()] for smb in smbs] == [[1, 2, 3, 4, 5, 6, 7]] * 5


async def test_many_messages_of_some_smbs_among_many_smbs_come_in_order(installation: Installation) -> None:
    many, talkative = await installation.add_smbs(600), await installation.add_smbs(2)
    for _ in range(3):
        await tell(installation, [*talkative, *many, *talkative], 1)
        await tell(installation, talkative, 10)
    async with relays(installation, 1):
        await published(installation)
    found = await stories(installation)
    assert [found[str(smb.smb_id).encode()] for smb in many] == [[1, 2, 3]] * 600
    assert [found[str(smb.smb_id).encode()] for smb in talkative] == [list(range(1, 37))] * 2


async def test_another_one_goes_on_when_the_leader_s_session_is_gone(
    installation: Installation, smbs: list[SmbKey]
) -> None:
    async with relays(installation, 2):
        await tell(installation, smbs, 2)
        await published(installation)
        for _ in range(2):
            (leader,) = await eventually(lambda: installation.fetch(HOLDERS), "one leads")
            await installation.fetch("SELECT pg_terminate_backend($1)", leader["pid"])
            await tell(installation, smbs, 2)
            await published(installation)
    found = await stories(installation)
    for smb in smbs:
        numbers = found[str(smb.smb_id).encode()]
        first_copies = list(dict.fromkeys(numbers))
        assert first_copies == [1, 2, 3, 4, 5, 6]


async def test_the_lead_is_given_up_at_the_shutdown(installation: Installation) -> None:
    async with relays(installation, 1):
        assert await eventually(lambda: installation.fetch(HOLDERS), "one leads")
    assert await eventually(lambda: nobody_leads(installation), "the lock is free")


async def nobody_leads(installation: Installation) -> bool:
    return not await installation.fetch(HOLDERS)
