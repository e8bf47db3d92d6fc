"""Follows one CloudEvents id through everything that is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from services.engagement.score_around import score_around
from services.trace import store
from services.trace.found import AppliedEvent, Duplicate, LedgerEntry, Parked, Told, TriggerRun
from shared.runtime.database import Database, Transaction
from shared.schemas.encoding import announcement_id
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.topics import ENGAGEMENT_TOPICS, SCHEDULE_TOPIC, Topics

LETTERS_AT_MOST = 100
TYPE_OF_KIND = {
    "email_opened": "EmailOpened",
    "email_clicked": "EmailClicked",
    "rvm_delivered": "RVMDelivered",
    "content_viewed": "ContentViewed",
    "content_completed": "ContentCompleted",
    "callback_received": "CallbackReceived",
    "approval_approved": "ApprovalSubmitted",
    "approval_rejected": "ApprovalSubmitted",
}
PARTS_OF_AN_ANNOUNCEMENT = 4


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: a CloudEvents id, of one tenant or source where these are known."""

    event_id: str
    tenant_id: UUID | None = None
    source: str | None = None


@dataclass(slots=True)
class Trace:
    """Everything that was found under one id; the same id may stand for messages of several tenants or sources."""

    events: list[AppliedEvent] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    runs: list[TriggerRun] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    dead_letters: list[Parked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether anything was found."""
        return bool(self.events or self.ledger or self.runs or self.duplicates or self.dead_letters or self.told)


class Tracer:
    """One search. Each step reads in a transaction of its own."""

    def __init__(self, database: Database, topics: Topics, policy: Policy, sought: Sought) -> None:
        self._database = database
        self._topics = topics
        self._policy = policy
        self._sought = sought
        self._parameters = {
            "event_id": sought.event_id,
            "source": sought.source,
            "tenant_id": sought.tenant_id,
        }

    async def follow(self, report: Callable[[str], None]) -> Trace:
        """Look everywhere; `report` hears what is searched."""
        found = Trace()
        report("ledgers, dead letters and copies")
        async with self._database.transaction() as transaction:
            found.told = await self._outgoing(transaction)
            found.ledger = [await self._entry(transaction, row) for row in await self._rows(transaction, store.LEDGER)]
            found.runs = [self._run(row) for row in await self._rows(transaction, store.RUNS)]
            found.duplicates = [_duplicate(row) for row in await self._rows(transaction, store.COPIES)]
            found.dead_letters = await self._letters(transaction)
            partitions = list((await transaction.execute(store.PARTITIONS)).scalars())
        for partition in partitions:
            report(partition)
            statement = text(store.EVENTS_OF_PARTITION.format(partition=partition))
            async with self._database.transaction() as transaction:
                rows = await self._rows(transaction, statement)
                found.events += [await self._event(transaction, row) for row in rows]
        return found

    async def _rows(self, transaction: Transaction, statement: TextClause) -> Sequence[Row[Any]]:
        return (await transaction.execute(statement, self._parameters)).all()

    async def _event(self, transaction: Transaction, row: Row[Any]) -> AppliedEvent:
        smb = SmbKey(row.tenant_id, row.smb_id)
        before, after = await score_around(transaction, smb, row.received_at, self._policy)
        type_ = TYPE_OF_KIND[row.kind]
        return AppliedEvent(
            outcome="applied" if row.smb_exists else "waiting",
            type=type_,
            source=row.source,
            tenant_id=smb.tenant_id,
            smb_id=smb.smb_id,
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            topic=self._topics.full_name(ENGAGEMENT_TOPICS[type_]),
            partition=row.partition_number,
            offset=row.partition_offset,
            score_before=before,
            score_after=after,
            came_together=row.came_together,
            led_to=await self._led_to(transaction, smb, row.received_at),
        )

    async def _entry(self, transaction: Transaction, row: Row[Any]) -> LedgerEntry:
        return LedgerEntry(
            outcome=row.outcome,
            type=row.type,
            source=row.source,
            tenant_id=row.tenant_id,
            smb_id=row.smb_id,
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            topic=row.topic,
            partition=row.partition_number,
            offset=row.partition_offset,
            reason=row.reason,
            led_to=await self._led_to(transaction, SmbKey(row.tenant_id, row.smb_id), row.received_at),
        )

    def _run(self, row: Row[Any]) -> TriggerRun:
        return TriggerRun(
            outcome=row.status,
            type=row.name,
            source=row.trigger_source,
            scheduled_for=row.scheduled_for,
            received_at=row.received_at,
            finished_at=row.finished_at,
            topic=self._topics.full_name(SCHEDULE_TOPIC),
            partition=row.partition_number,
            offset=row.partition_offset,
            shards_done=row.shards_done,
            shards_total=row.shards_total,
            smbs_seen=row.smbs_seen,
            smbs_changed=row.smbs_changed,
        )

    async def _letters(self, transaction: Transaction) -> list[Parked]:
        """The dead letters that name this id as their own, as far as they could be read when they were parked."""
        parameters = {
            "event_id": self._sought.event_id,
            "tenant_id": self._sought.tenant_id,
            "at_most": LETTERS_AT_MOST,
        }
        return [_parked(row) for row in (await transaction.execute(store.LETTERS, parameters)).all()]

    async def _led_to(self, transaction: Transaction, smb: SmbKey, moment: datetime) -> list[Told]:
        """What was told because of it, and because of what was told."""
        told: dict[str | None, Told] = {}
        causes = [self._sought.event_id]
        while True:
            parameters = {"tenant_id": smb.tenant_id, "smb_id": smb.smb_id, "causes": causes, "moment": moment}
            rows = (await transaction.execute(store.LED_TO, parameters)).all()
            new = [one for one in map(_told, rows) if one.id not in told]
            if not new:
                return sorted(told.values(), key=lambda one: (one.epoch or 0, one.sequence or 0))
            told |= {one.id: one for one in new}
            causes += [one.id for one in new if one.id is not None]

    async def _outgoing(self, transaction: Transaction) -> list[Told]:
        """An outgoing message, where the id is one of ours: tenant/SMB/epoch/sequence."""
        parts = self._sought.event_id.split("/")
        if len(parts) != PARTS_OF_AN_ANNOUNCEMENT:
            return []
        try:
            parameters = {
                "tenant_id": UUID(parts[0]),
                "smb_id": UUID(parts[1]),
                "epoch": int(parts[2]),
                "sequence": int(parts[3]),
            }
        except ValueError:
            return []
        return [_told(row) for row in (await transaction.execute(store.MESSAGE, parameters)).all()]


def _told(row: Row[Any]) -> Told:
    is_announcement = row.smb_id is not None
    return Told(
        id=announcement_id(SmbKey(row.tenant_id, row.smb_id), row.epoch, row.sequence) if is_announcement else None,
        type=row.type,
        topic=row.topic,
        tenant_id=row.tenant_id,
        smb_id=row.smb_id,
        epoch=row.epoch,
        sequence=row.sequence,
        created_at=row.created_at,
        state="waiting" if row.waits else "published",
        causation_id=row.causation_id,
    )


def _duplicate(row: Row[Any]) -> Duplicate:
    return Duplicate(
        group=row.consumer_group,
        type=row.type,
        source=row.source,
        tenant_id=row.tenant_id,
        smb_id=row.smb_id,
        topic=row.topic,
        partition=row.partition_number,
        offset=row.partition_offset,
        seen_at=row.seen_at,
        differs=row.differs,
    )


def _parked(row: Row[Any]) -> Parked:
    return Parked(
        letter_id=row.id,
        service=row.service,
        error_class=row.error_class,
        reason=row.reason,
        tenant_id=row.tenant_id,
        smb_id=row.smb_id,
        topic=row.topic,
        partition=row.partition_number,
        offset=row.partition_offset,
        parked_at=row.parked_at,
        replayed_at=row.replayed_at,
    )
