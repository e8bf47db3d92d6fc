"""What a trace finds: each is one thing that became of a message."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Told:
    """An outgoing message. `published_state` is published or waiting (in the outbox)."""

    id: str | None
    type: str
    topic: str
    tenant_id: UUID | None
    smb_id: UUID | None
    epoch: int | None
    sequence: int | None
    created_at: datetime
    state: str
    causation_id: str | None


@dataclass(frozen=True, slots=True)
class AppliedEvent:
    """An event of another module that is stored.

    `outcome` is applied, or waiting while its tenant has no such SMB. The scores are as of the UTC date on which it
    came: from what came before its transaction, and with everything up to it; `came_together` events of the same SMB
    were in that transaction.
    """

    outcome: str
    type: str
    source: str
    tenant_id: UUID
    smb_id: UUID
    occurred_at: datetime
    received_at: datetime
    topic: str
    partition: int
    offset: int
    score_before: int
    score_after: int
    came_together: int
    led_to: list[Told]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A command, or an approval as the campaign service saw it. `outcome` is applied, refused or waiting."""

    outcome: str
    type: str
    source: str
    tenant_id: UUID
    smb_id: UUID
    occurred_at: datetime
    received_at: datetime
    topic: str
    partition: int
    offset: int
    reason: str | None
    led_to: list[Told]


@dataclass(frozen=True, slots=True)
class TriggerRun:
    """A schedule trigger and its run. `outcome` is waiting, running or finished."""

    outcome: str
    type: str
    source: str
    scheduled_for: datetime
    received_at: datetime
    finished_at: datetime | None
    topic: str
    partition: int
    offset: int
    shards_done: int
    shards_total: int
    smbs_seen: int
    smbs_changed: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A record that repeats an identity from another place; `differs` when its body is not the applied one's."""

    group: str
    type: str
    source: str
    tenant_id: UUID | None
    smb_id: UUID | None
    topic: str
    partition: int
    offset: int
    seen_at: datetime
    differs: bool


@dataclass(frozen=True, slots=True)
class Parked:
    """A dead letter."""

    letter_id: int
    service: str
    error_class: str
    reason: str
    tenant_id: UUID | None
    smb_id: UUID | None
    topic: str
    partition: int
    offset: int
    parked_at: datetime
    replayed_at: datetime | None
