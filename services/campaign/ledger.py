"""The ledger of commands and approvals: the identity of each that was applied, refused, or waits for its SMB."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import text

from shared.runtime import retention
from shared.runtime.database import Database, Transaction
from shared.runtime.heads import as_arrays
from shared.runtime.outcome import Copy
from shared.schemas.envelope import Input
from shared.schemas.identity import Place, SmbKey

Sort = Literal["approval", "command"]
InputOutcome = Literal["applied", "refused", "waiting"]


class Identity(NamedTuple):
    """What makes an input the same input, within its sort."""

    smb: SmbKey
    input_key: UUID


class Known(NamedTuple):
    """An input that the ledger has: where it stands in Kafka and what it said."""

    place: Place
    fingerprint: bytes


class Entry(NamedTuple):
    """One input to write down, with what became of it; `service` is an approval's."""

    input: Input
    smb: SmbKey
    sort: Sort
    outcome: InputOutcome
    service: str | None = None


FIND = text(
    """
    SELECT entry.tenant_id, entry.smb_id, entry.input_key, entry.topic, entry.partition_number,
        entry.partition_offset, entry.fingerprint
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:input_keys AS uuid[]))
        AS wanted (tenant_id, smb_id, input_key)
    JOIN campaign_inputs AS entry ON entry.tenant_id = wanted.tenant_id AND entry.smb_id = wanted.smb_id
        AND entry.sort = :sort AND entry.input_key = wanted.input_key
    """,
)
FIND_OTHER_EVENTS = text(
    """
    SELECT event.tenant_id, event.smb_id, event.event_key
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:input_keys AS uuid[]))
        AS wanted (tenant_id, smb_id, event_key)
    JOIN engagement_events AS event ON event.tenant_id = wanted.tenant_id AND event.smb_id = wanted.smb_id
        AND event.event_key = wanted.event_key
    WHERE event.kind NOT IN ('approval_approved', 'approval_rejected')
    """,
)
# In the order of arrival, which decides the order of pending services. Whoever writes here holds the SMB's head and
# has looked before, so an identity that is there already is a mistake and fails.
WRITE = text(
    """
    INSERT INTO campaign_inputs
        (tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, topic, partition_number,
        partition_offset, outcome, service, fingerprint, received_at)
    SELECT tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, topic, partition_number,
        partition_offset, outcome, service, fingerprint, :now
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:sorts AS text[]),
        CAST(:input_keys AS uuid[]), CAST(:types AS text[]), CAST(:sources AS text[]), CAST(:event_ids AS text[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:topics AS text[]), CAST(:partition_numbers AS integer[]),
        CAST(:partition_offsets AS bigint[]), CAST(:outcomes AS text[]), CAST(:services AS text[]),
        CAST(:fingerprints AS bytea[]))
        WITH ORDINALITY AS entry (tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, topic,
            partition_number, partition_offset, outcome, service, fingerprint, place)
    ORDER BY place
    """,
)

# An approval's entry stays for as long as its event does; a command that is older than the ledger counts as repeated.
REMOVE_OLD_COMMANDS = text(
    """
    DELETE FROM campaign_inputs WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM campaign_inputs WHERE sort = 'command' AND received_at < :before
        ORDER BY received_at LIMIT :at_once FOR UPDATE SKIP LOCKED))
    """,
)


async def find(transaction: Transaction, sort: Sort, inputs: Sequence[Input]) -> dict[Identity, Known]:
    """Give what the ledger has of the identities of `inputs`."""
    rows = await transaction.execute(FIND, _identities(inputs) | {"sort": sort})
    return {
        Identity(SmbKey(row.tenant_id, row.smb_id), row.input_key): Known(
            Place(row.topic, row.partition_number, row.partition_offset), row.fingerprint
        )
        for row in rows.all()
    }


async def find_other_events(transaction: Transaction, inputs: Sequence[Input]) -> set[Identity]:
    """Give those identities of `inputs` under which the engagement service keeps an event that is no approval."""
    rows = await transaction.execute(FIND_OTHER_EVENTS, _identities(inputs))
    return {Identity(SmbKey(row.tenant_id, row.smb_id), row.event_key) for row in rows.all()}


async def write(transaction: Transaction, entries: Sequence[Entry], now: datetime) -> None:
    """Write down new inputs, in the order in which they arrived."""
    if not entries:
        return
    inputs = [entry.input for entry in entries]
    await transaction.execute(
        WRITE,
        _identities(inputs)
        | {
            "sorts": [entry.sort for entry in entries],
            "types": [one.type for one in inputs],
            "sources": [one.source for one in inputs],
            "event_ids": [one.id for one in inputs],
            "occurred_at": [one.time for one in inputs],
            "topics": [one.place.topic for one in inputs],
            "partition_numbers": [one.place.partition for one in inputs],
            "partition_offsets": [one.place.offset for one in inputs],
            "outcomes": [entry.outcome for entry in entries],
            "services": [entry.service for entry in entries],
            "fingerprints": [fingerprint(one) for one in inputs],
            "now": now,
        },
    )


async def remove_old_commands(database: Database) -> None:
    """Remove commands that the ledger has kept for long enough; harmless when two do it at once."""
    await retention.remove(database, REMOVE_OLD_COMMANDS)


def identity(message: Input) -> Identity:
    """Give an input's identity. Raises TypeError for a message that is about no SMB."""
    if message.smb is None:
        raise TypeError(message.type)
    return Identity(message.smb, message.event_key)


def known(message: Input) -> Known:
    """Give what the ledger will have of an input."""
    return Known(message.place, fingerprint(message))


def copy_of(message: Input, first: Known) -> list[Copy]:
    """Give the copy that a repeated input is, or nothing when it was only delivered again."""
    if message.place == first.place:
        return []
    return [Copy(message, differs=fingerprint(message) != first.fingerprint)]


def fingerprint(message: Input) -> bytes:
    """Give 16 bytes that two inputs share when they report the same, wherever they stand in Kafka.

    A field left out and its default are the same, so a schema may grow without changing what was written before.
    """
    said = f"{message.type} {message.time.isoformat()} {message.data.model_dump_json(exclude_defaults=True)}"
    return blake2b(said.encode(), digest_size=16).digest()


def _identities(inputs: Sequence[Input]) -> dict[str, list[UUID]]:
    identities = [identity(one) for one in inputs]
    return as_arrays([smb for smb, _ in identities]) | {"input_keys": [input_key for _, input_key in identities]}
