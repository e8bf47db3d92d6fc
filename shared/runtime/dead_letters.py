"""Dead letters: what can't be applied is kept with its bytes, in the transaction that moves past it."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.database import Transaction
from shared.schemas.claims import claimed_identity

# A record that is delivered again after it was parked is the same dead letter.
PARK = text(
    """
    INSERT INTO dead_letters
        (consumer_group, topic, partition_number, partition_offset, message_timestamp, key, value, headers,
        service, error_class, reason, attempts, parked_at, tenant_id, smb_id)
    VALUES
        (:consumer_group, :topic, :partition_number, :partition_offset, :message_timestamp, :key, :value,
        CAST(:headers AS jsonb), :service, :error_class, :reason, :attempts, :now, :tenant_id, :smb_id)
    ON CONFLICT DO NOTHING
    """,
)
LIST = text(
    """
    SELECT * FROM dead_letters
    WHERE (CAST(:service AS text) IS NULL OR service = :service)
        AND (CAST(:open_only AS boolean) IS NOT TRUE OR replayed_at IS NULL)
    ORDER BY id DESC LIMIT :at_most
    """,
)
GET = text("SELECT * FROM dead_letters WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id")
MARK_REPLAYED = text("UPDATE dead_letters SET replayed_at = :now WHERE id = ANY(CAST(:ids AS bigint[]))")
COUNT = text("SELECT count(*) FILTER (WHERE replayed_at IS NULL), count(*) FROM dead_letters")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record and why it can't be applied. `attempts` is how often it was tried."""

    record: ConsumerRecord[bytes | None, bytes | None]
    error_class: str
    reason: str
    attempts: int = 1


async def park(
    connection: AsyncConnection, letters: Sequence[DeadLetter], *, consumer_group: str, service: str, now: datetime
) -> None:
    """Store dead letters; one that is stored already stays as it is."""
    if letters:
        rows = [_row(letter) | {"consumer_group": consumer_group, "service": service, "now": now} for letter in letters]
        await connection.execute(PARK, rows)


def _row(letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    tenant_id, smb_id, _ = claimed_identity(record)
    has_timestamp = record.timestamp is not None and record.timestamp >= 0
    return {
        "topic": record.topic,
        "partition_number": record.partition,
        "partition_offset": record.offset,
        "message_timestamp": datetime.fromtimestamp(record.timestamp / 1000, UTC) if has_timestamp else None,
        "key": record.key,
        "value": record.value,
        "headers": json.dumps([[name.replace("\x00", "\\0"), to_base64(value)] for name, value in record.headers]),
        "error_class": letter.error_class,
        "reason": letter.reason.replace("\x00", "\\0")[:1000],
        "attempts": letter.attempts,
        "tenant_id": tenant_id,
        "smb_id": smb_id,
    }


async def find(
    transaction: Transaction, *, service: str | None = None, open_only: bool = False, at_most: int = 1000
) -> Sequence[RowMapping]:
    """List dead letters, newest first."""
    parameters = {"service": service, "open_only": open_only, "at_most": at_most}
    return (await transaction.execute(LIST, parameters)).mappings().all()


async def get(transaction: Transaction, ids: Sequence[int]) -> Sequence[RowMapping]:
    """Read dead letters by id, in the order of ids; unknown ids are left out."""
    return (await transaction.execute(GET, {"ids": list(ids)})).mappings().all()


async def mark_replayed(transaction: Transaction, ids: Sequence[int], now: datetime) -> None:
    """Note that these letters were published again."""
    await transaction.execute(MARK_REPLAYED, {"ids": list(ids), "now": now})


async def count(transaction: Transaction) -> tuple[int, int]:
    """How many letters were never replayed, and how many there are in all."""
    waiting, total = (await transaction.execute(COUNT)).one()
    return waiting, total


def to_base64(value: bytes | None) -> str | None:
    """Bytes for JSON; None stays None."""
    return None if value is None else base64.b64encode(value).decode()


def as_json(letter: RowMapping) -> dict[str, Any]:
    """One letter as the contract's `dead-letters list --json` prints it."""
    return {
        "id": letter["id"],
        "topic": letter["topic"],
        "partition": letter["partition_number"],
        "offset": letter["partition_offset"],
        "timestamp": _iso(letter["message_timestamp"]),
        "key": to_base64(letter["key"]),
        "value": to_base64(letter["value"]),
        "headers": letter["headers"],
        "service": letter["service"],
        "error_class": letter["error_class"],
        "reason": letter["reason"],
        "attempts": letter["attempts"],
        "parked_at": _iso(letter["parked_at"]),
        "replayed_at": _iso(letter["replayed_at"]),
        "tenant_id": _text(letter["tenant_id"]),
        "smb_id": _text(letter["smb_id"]),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
