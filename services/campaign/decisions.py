"""Decisions about campaigns in one transaction: read what there is, decide by the rules, save, and tell.

For everyone who moves campaigns: the worker's commands and its daily shards, and `refresh_for` for whoever changes in
their own transaction what bears on campaigns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import NamedTuple, Self
from uuid import UUID, uuid4

from services.campaign import rules, store
from services.campaign.rules import Campaign, Command, Decision, Transition
from services.campaign.store import Standing, TransitionRow
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBCampaignChanged
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey


class Cause(NamedTuple):
    """What leads to a decision: the message's id, for the history and as causation, and its trace.

    `caused_at` is when it reached Kafka; None where nobody waits for it.
    """

    id: str | None = None
    traceparent: str | None = None
    caused_at: datetime | None = None

    @classmethod
    def of(cls, message: Input) -> Self:
        """Name a message as the cause."""
        return cls(message.id, message.traceparent, message.arrived_at)


NOBODY = Cause()


class Becoming(NamedTuple):
    """What an SMB is about to become in this transaction; None: it stays as it is stored."""

    do_not_contact: bool | None = None
    is_deleted: bool | None = None
    timezone: str | None = None


AS_STORED = Becoming()


@dataclass(slots=True)
class Campaigns:
    """The newest runs of some SMBs whose heads are locked, and what is decided about them at one moment.

    Decisions build on each other in the order in which they are taken; nothing is stored before `save`.
    """

    transaction: Transaction
    now: datetime
    standings: dict[SmbKey, Standing]
    _changed: dict[SmbKey, dict[UUID, Campaign]] = field(default_factory=dict)
    _history: list[TransitionRow] = field(default_factory=list)
    _announcements: list[Announcement] = field(default_factory=list)

    @classmethod
    async def of(
        cls, transaction: Transaction, keys: Sequence[SmbKey], send_time: time, now: datetime, *, moving: bool = False
    ) -> Self:
        """Read these SMBs' campaigns; with `moving` only of those whose campaign is scheduled or running."""
        standings = await store.read_standings(transaction, keys, send_time, moving=moving) if keys else {}
        return cls(transaction, now, standings)

    @property
    def changed(self) -> int:
        """Count the SMBs whose runs change."""
        return len(self._changed)

    def command(self, smb: SmbKey, command: Command, cause: Cause) -> Decision:
        """Do what a command asks, or refuse it. Raises KeyError when the tenant has no such SMB."""
        standing = self.standings[smb]
        decision = rules.decide(standing.campaign, command, standing.circumstances, self.now, uuid4())
        self._take(smb, decision, cause)
        if decision.refusal is not None:
            self._history.append(_refused(smb, decision, decision.refusal, cause))
        return decision

    def advance(self, smb: SmbKey, cause: Cause) -> Decision:
        """Do what the daily trigger does. Raises KeyError when the tenant has no such SMB."""
        standing = self.standings[smb]
        decision = rules.advance(standing.campaign, standing.circumstances, self.now)
        self._take(smb, decision, cause)
        return decision

    def refresh(self, smb: SmbKey, becoming: Becoming, cause: Cause) -> Decision:
        """Do what changed circumstances do. Raises KeyError when the tenant has no such SMB."""
        standing = self.standings[smb]
        given = {name: value for name, value in becoming._asdict().items() if value is not None}
        circumstances = replace(standing.circumstances, **given)
        decision = rules.refresh(standing.campaign, circumstances, self.now)
        self._take(smb, decision, cause)
        return decision

    async def save(self) -> Outcome:
        """Store what was decided, once; the outcome has what is to be announced, and counts nothing."""
        if self._changed:
            runs = {smb: list(changed.values()) for smb, changed in self._changed.items()}
            await store.save_campaigns(self.transaction, runs, self.now)
        if self._history:
            await store.insert_transitions(self.transaction, self._history, self.now)
        return Outcome(announcements=self._announcements, touched=set(self._changed))

    def _take(self, smb: SmbKey, decision: Decision, cause: Cause) -> None:
        """Keep a decision; of a run that changes again only the last state counts."""
        if not decision.changed:
            return
        self.standings[smb] = self.standings[smb]._replace(campaign=decision.campaign)
        self._changed.setdefault(smb, {}).update((run.id, run) for run in decision.changed)
        for transition in decision.transitions:
            self._history.append(_applied(smb, transition, cause))
            told = _told(smb, transition)
            self._announcements.append(Announcement(smb, told, cause.id, cause.traceparent, cause.caused_at))


async def refresh_for(
    transaction: Transaction,
    changes: Mapping[SmbKey, Becoming],
    send_time: time,
    now: datetime,
    cause: Cause = NOBODY,
) -> Outcome:
    """Bring the campaigns of these SMBs, whose heads are locked, up to what the SMBs are about to become.

    To be called before do_not_contact or a deletion is stored, because the database refuses either while a campaign
    runs: a running campaign is paused, a scheduled one cancelled, and any open one cancelled by a deletion. A changed
    time zone moves the schedule; it may be stored before or after. Give its announcements before those of the deletion
    itself. Unknown SMBs are left out; called again it changes nothing. Raises UnknownTimeZoneError.
    """
    campaigns = await Campaigns.of(transaction, sorted(changes), send_time, now)
    for smb in campaigns.standings:
        campaigns.refresh(smb, changes[smb], cause)
    return await campaigns.save()


async def command_one(  # noqa: PLR0913, PLR0917  whom, what, by which rules, when and why
    transaction: Transaction, smb: SmbKey, command: Command, send_time: time, now: datetime, cause: Cause = NOBODY
) -> tuple[Decision, Outcome]:
    """Do what somebody asks of one SMB's campaign while they wait for the answer; its head is locked.

    A refused command stores nothing, not even what a refresh would have: the decision says why, and how the campaign
    stands. Raises KeyError when the tenant has no such SMB.
    """
    campaigns = await Campaigns.of(transaction, [smb], send_time, now)
    decision = campaigns.command(smb, command, cause)
    return decision, Outcome() if decision.refusal else await campaigns.save()


def _applied(smb: SmbKey, transition: Transition, cause: Cause) -> TransitionRow:
    run = transition.campaign
    return TransitionRow(
        *smb,
        campaign_id=run.id,
        action=transition.action.value,
        outcome="applied",
        old_status=transition.old_status.value,
        new_status=run.status.value,
        day=run.day,
        reason=transition.reason,
        caused_by=cause.id,
    )


def _refused(smb: SmbKey, decision: Decision, refusal: rules.Refusal, cause: Cause) -> TransitionRow:
    run = decision.campaign
    return TransitionRow(
        *smb,
        campaign_id=run.id if run else None,
        action=refusal.action.value,
        outcome="refused",
        old_status=refusal.status.value,
        new_status=refusal.status.value,
        day=run.day if run else None,
        reason=f"{refusal.name}: {refusal.reason}",
        caused_by=cause.id,
    )


def _told(smb: SmbKey, transition: Transition) -> SMBCampaignChanged:
    run = transition.campaign
    return SMBCampaignChanged(
        smb_id=smb.smb_id,
        old_status=transition.old_status.value,
        new_status=run.status.value,
        campaign_id=run.id,
        day=run.day,
        day_one=run.day_one,
        start_date=run.start_date,
        timezone=run.timezone,
        next_scheduled_send=run.next_send,
        reason=transition.reason,
    )
