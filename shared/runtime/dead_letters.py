"""Dead letters: what can't be applied is kept with its bytes, in the transaction that moves past it.

A letter is known by its group, its place and the fingerprint of its record: a topic that was created anew gives the
same places to other records.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from aiokafka import ConsumerRecord
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.database import Transaction
from shared.schemas.claims import claimed_identity
from shared.schemas.envelope import moment_of
from shared.schemas.identity import Place

# A record that is delivered again after it was parked is the same dead letter.
PARK = text(
    """
    INSERT INTO dead_letters
        (consumer_group, topic, partition_number, partition_offset, message_timestamp, key, value, headers,
        service, error_class, reason, attempts, parked_at, tenant_id, smb_id, event_id, fingerprint)
    VALUES
        (:consumer_group, :topic, :partition_number, :partition_offset, :message_timestamp, :key, :value,
        CAST(:headers AS json), :service, :error_class, :reason, :attempts, :now, :tenant_id, :smb_id,
        :event_id, :fingerprint)
    ON CONFLICT DO NOTHING
    """,
)
# What can't be decoded locks no head, so the SMB that it names may be erased at this very moment: the records worker
# looks again later.
WITHDRAW_ERASED = text(
    """
    DELETE FROM dead_letters AS letter
    USING unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:offsets AS bigint[]),
        CAST(:fingerprints AS bytea[])) AS parked (topic, partition_number, partition_offset, fingerprint)
    WHERE letter.consumer_group = :consumer_group AND letter.topic = parked.topic
        AND letter.partition_number = parked.partition_number AND letter.partition_offset = parked.partition_offset
        AND letter.fingerprint = parked.fingerprint
        AND EXISTS (
            SELECT FROM smb_heads AS head
            WHERE head.smb_id = ANY(letter.mentions) AND head.erased_at IS NOT NULL
                AND (letter.tenant_id IS NULL OR head.tenant_id = letter.tenant_id))
    RETURNING letter.fingerprint
    """,
)
WITHDRAW = text(
    """
    DELETE FROM dead_letters AS letter
    USING unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:offsets AS bigint[]),
        CAST(:fingerprints AS bytea[])) AS settled (topic, partition_number, partition_offset, fingerprint)
    WHERE letter.consumer_group = :consumer_group AND letter.topic = settled.topic
        AND letter.partition_number = settled.partition_number AND letter.partition_offset = settled.partition_offset
        AND letter.fingerprint = settled.fingerprint AND letter.replayed_at IS NULL
    """,
)
FIND_PARKED = text(
    """
    SELECT letter.topic, letter.partition_number, letter.partition_offset
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:offsets AS bigint[]))
        AS wanted (topic, partition_number, partition_offset)
    JOIN dead_letters AS letter USING (topic, partition_number, partition_offset)
    WHERE letter.error_class = :error_class
    """,
)
LIST = text(
    """
    SELECT * FROM dead_letters
    WHERE (CAST(:service AS text) IS NULL OR service = :service)
        AND (CAST(:error_class AS text) IS NULL OR error_class = :error_class)
        AND (CAST(:waiting AS boolean) IS NOT TRUE OR replayed_at IS NULL)
        AND (CAST(:before AS bigint) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :at_most
    """,
)
GET = text("SELECT * FROM dead_letters WHERE id = :id")
KNOWN = text("SELECT id FROM dead_letters WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id")
WAITING = text(
    """
    SELECT id FROM dead_letters
    WHERE replayed_at IS NULL AND (CAST(:service AS text) IS NULL OR service = :service)
        AND (CAST(:error_class AS text) IS NULL OR error_class = :error_class)
    ORDER BY id
    """,
)
MARK_REPLAYED = text("UPDATE dead_letters SET replayed_at = :now WHERE id = ANY(CAST(:ids AS bigint[]))")
COUNT = text("SELECT count(*) FILTER (WHERE replayed_at IS NULL) AS waiting, count(*) AS total FROM dead_letters")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record and why it can't be applied. `attempts` is how often it was tried."""

    record: ConsumerRecord[bytes | None, bytes | None]
    error_class: str
    reason: str
    attempts: int = 1


async def park(
    connection: AsyncConnection, letters: Sequence[DeadLetter], *, consumer_group: str, service: str, now: datetime
) -> list[DeadLetter]:
    """Store dead letters, one that is stored already stays as it is; gives those that name no erased SMB.

    Of the others nothing is kept: they count as erased.
    """
    if not letters:
        return []
    rows = [_row(letter) | {"consumer_group": consumer_group, "service": service, "now": now} for letter in letters]
    await connection.execute(PARK, rows)
    parked = _known_by([letter.record for letter in letters], consumer_group)
    erased = set(map(bytes, (await connection.execute(WITHDRAW_ERASED, parked)).scalars()))
    return [letter for letter, row in zip(letters, rows, strict=True) if row["fingerprint"] not in erased]


async def find_parked(transaction: Transaction, places: Sequence[Place], error_class: str) -> set[Place]:
    """Find out which of these records were parked before for this reason."""
    parameters: dict[str, Any] = {
        "topics": [place.topic for place in places],
        "partitions": [place.partition for place in places],
        "offsets": [place.offset for place in places],
        "error_class": error_class,
    }
    rows = (await transaction.execute(FIND_PARKED, parameters)).all()
    return {Place(row.topic, row.partition_number, row.partition_offset) for row in rows}


async def withdraw(
    connection: AsyncConnection, records: Sequence[ConsumerRecord[bytes | None, bytes | None]], *, consumer_group: str
) -> None:
    """Take back the letters of records that were delivered again and could be applied now: one record, one end."""
    if records:
        await connection.execute(WITHDRAW, _known_by(records, consumer_group))


def _known_by(records: Sequence[ConsumerRecord[bytes | None, bytes | None]], consumer_group: str) -> dict[str, Any]:
    return {
        "consumer_group": consumer_group,
        "topics": [record.topic for record in records],
        "partitions": [record.partition for record in records],
        "offsets": [record.offset for record in records],
        "fingerprints": [_fingerprint(record) for record in records],
    }


def _row(letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    tenant_id, smb_id, event_id = claimed_identity(record)
    has_timestamp = record.timestamp is not None and record.timestamp >= 0
    return {
        "topic": record.topic,
        "partition_number": record.partition,
        "partition_offset": record.offset,
        "message_timestamp": moment_of(record.timestamp) if has_timestamp else None,
        "key": record.key,
        "value": record.value,
        "headers": json.dumps([[name, to_base64(value)] for name, value in record.headers]),
        "error_class": letter.error_class,
        "reason": letter.reason.replace("\x00", "\\0")[:1000],
        "attempts": letter.attempts,
        "tenant_id": tenant_id,
        "smb_id": smb_id,
        "event_id": event_id,
        "fingerprint": _fingerprint(record),
    }


def _fingerprint(record: ConsumerRecord[bytes | None, bytes | None]) -> bytes:
    """Sixteen bytes that tell a record from any other that stood at its place."""
    digest = blake2b(digest_size=16)
    names_and_values = [part for name, value in record.headers for part in (name.encode(), value)]
    for part in (str(record.timestamp).encode(), record.key, record.value, *names_and_values):
        # Each part with its length, so that no two records run together to the same bytes.
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters: of one service, of one error class, only those that were never replayed. None asks nothing."""

    service: str | None = None
    error_class: str | None = None
    waiting: bool = False


async def find(
    transaction: Transaction, which: Which, *, before: int | None = None, at_most: int = 100
) -> Sequence[RowMapping]:
    """List dead letters with their bytes, newest first; `before` is the last id of the page before this one."""
    parameters = {
        "service": which.service,
        "error_class": which.error_class,
        "waiting": which.waiting,
        "before": before,
        "at_most": at_most,
    }
    return (await transaction.execute(LIST, parameters)).mappings().all()


async def get(transaction: Transaction, letter_id: int) -> RowMapping | None:
    """Read one dead letter; None when there is none with this id."""
    return (await transaction.execute(GET, {"id": letter_id})).mappings().first()


async def known(transaction: Transaction, ids: Sequence[int]) -> list[int]:
    """Those of the ids that letters have, sorted, each once."""
    return list((await transaction.execute(KNOWN, {"ids": list(ids)})).scalars())


async def waiting_ids(transaction: Transaction, which: Which) -> list[int]:
    """The ids of all letters that were never replayed, oldest first."""
    parameters = {"service": which.service, "error_class": which.error_class}
    return list((await transaction.execute(WAITING, parameters)).scalars())


async def mark_replayed(transaction: Transaction, ids: Sequence[int], now: datetime) -> None:
    """Note that these letters were published again."""
    await transaction.execute(MARK_REPLAYED, {"ids": list(ids), "now": now})


async def count(transaction: Transaction) -> tuple[int, int]:
    """How many letters were never replayed, and how many there are in all."""
    letters = (await transaction.execute(COUNT)).one()
    return letters.waiting, letters.total


def to_base64(value: bytes | None) -> str | None:
    """Bytes for JSON; None stays None."""
    return None if value is None else base64.b64encode(value).decode()


def from_base64(value: str | None) -> bytes | None:
    """Bytes back from JSON; None stays None."""
    return None if value is None else base64.b64decode(value)
