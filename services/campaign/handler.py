"""What happens in one transaction of the campaign service."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from services.campaign import ledger, store
from services.campaign.decisions import Campaigns, Cause
from services.campaign.ledger import Entry, Known
from services.campaign.rules import (
    PENDING_MOST,
    Cancel,
    Command,
    Pause,
    Resume,
    Schedule,
    Start,
    UnknownTimeZoneError,
    approve,
    is_full,
)
from services.campaign.store import Services
from shared.runtime import dead_letters, heads, jobs, metrics
from shared.runtime.database import Transaction
from shared.runtime.logs import logger
from shared.runtime.outcome import Announcement, Copy, Outcome
from shared.schemas.announcements import ProfileChanges, ServicesChange, SMBUpdated
from shared.schemas.bad_message import BadMessage
from shared.schemas.commands import CampaignCommand
from shared.schemas.engagement import ApprovalSubmitted
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard

UNKNOWN_SMB = "unknown_smb"
_COMMANDS: dict[str, Callable[[Any], Command]] = {
    "StartCampaign": lambda data: Start(data.reason),
    "ScheduleCampaign": lambda data: Schedule(data.start_date, data.reason),
    "PauseCampaign": lambda data: Pause(data.reason),
    "ResumeCampaign": lambda data: Resume(data.reason),
    "CancelCampaign": lambda data: Cancel(data.reason),
}


class CampaignHandler:
    """Applies approvals, commands and the daily advance, by one policy."""

    def __init__(self, policy: Policy, shard_max_smbs: int) -> None:
        self.send_time = policy.campaign.send_time
        self.shard_max_smbs = shard_max_smbs

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Apply approvals and commands, each sort in the order of arrival; begin the daily advance on its trigger."""
        approvals = [one for one in inputs if isinstance(one.data, ApprovalSubmitted)]
        commands = [one for one in inputs if isinstance(one.data, CampaignCommand)]
        outcome = await self._apply_approvals(transaction, approvals, now)
        outcome.add(await self._apply_commands(transaction, commands, now))
        for trigger in inputs:
            if not isinstance(trigger.data, ApprovalSubmitted | CampaignCommand):
                outcome.add(await self._begin_advance(transaction, trigger, now))
        return outcome

    async def handle_shard(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Advance the campaigns of one key range of SMBs as of now; one that is done already is left."""
        (message,) = inputs
        shard = message.data
        if not isinstance(shard, JobShard):
            raise TypeError(message.type)
        if not await jobs.is_open(transaction, shard):
            return Outcome(repeated=1)
        keys = [smb for smb in transaction.locked if smb not in transaction.erased]
        campaigns = await Campaigns.of(transaction, keys, self.send_time, now, moving=True)
        # Nobody waits for a nightly job, so it does not count in the seconds from an event to what it led to.
        cause = Cause(message.id, message.traceparent)
        for smb in sorted(campaigns.standings):
            try:
                campaigns.advance(smb, cause)
            except UnknownTimeZoneError as error:
                # Zone data may drop a name. One community's must not hold up the campaigns of all others.
                metrics.CAMPAIGNS_WITHOUT_ZONE.inc()
                logger().error(
                    "campaign is left as it is", tenant_id=smb.tenant_id, smb_id=smb.smb_id, error=str(error)
                )
        outcome = await campaigns.save()
        seen, changed = len(campaigns.standings), campaigns.changed
        await jobs.finish(transaction, shard, seen=seen, changed=changed, now=now)
        outcome.applied = 1
        return outcome

    async def _apply_approvals(self, transaction: Transaction, approvals: Sequence[Input], now: datetime) -> Outcome:
        """Write approvals down and make their services pending, with one announcement for each that does.

        An approval for an SMB that is unknown or soft-deleted waits for its creation or restoration, which takes it
        over: nothing may be announced before, and readers are to see every change of the list.
        """
        outcome = Outcome()
        kept = _without_erased(transaction, approvals, outcome)
        if not kept:
            return outcome
        known = await ledger.find(transaction, "approval", kept)
        others = await ledger.find_other_events(transaction, kept)
        services = await store.read_services(transaction, _smbs(kept))
        entries: list[Entry] = []
        changed: dict[SmbKey, tuple[str, ...]] = {}
        for one in kept:
            smb, _ = identity = ledger.identity(one)
            if _is_repeated(one, known.get(identity), outcome):
                continue
            if identity in others:
                outcome.repeated += 1
                outcome.copies.append(Copy(one, differs=True))
                continue
            before = services.get(smb)
            entry = _approval_entry(one, smb, before)
            if _has_no_room(entry, before):
                reason = f"data.service: {PENDING_MOST} services are pending already"
                outcome.rejected.append((one, BadMessage("too_many_services", reason)))
                continue
            known[identity] = ledger.known(one)
            outcome.applied += 1
            entries.append(entry)
            after = _pending_after(entry, before)
            if before is not None and after is not None:
                outcome.announcements.append(_pending_changed(one, smb, before.pending, after))
                services[smb] = before._replace(pending=after)
                changed[smb] = after
        await ledger.write(transaction, entries, now)
        if changed:
            await store.save_pending_services(transaction, changed, now)
        return outcome

    async def _apply_commands(self, transaction: Transaction, commands: Sequence[Input], now: datetime) -> Outcome:
        """Apply or refuse commands; one for an unknown SMB is rejected, and its identity stays unused."""
        outcome = Outcome()
        # The ledger may have forgotten what is older.
        recent = [one for one in commands if now - one.time <= jobs.LEDGER_KEEPS]
        outcome.repeated += len(commands) - len(recent)
        kept = _without_erased(transaction, recent, outcome)
        if not kept:
            return outcome
        known = await ledger.find(transaction, "command", kept)
        parked = await dead_letters.find_parked(transaction, [one.place for one in kept], UNKNOWN_SMB)
        campaigns = await Campaigns.of(transaction, _smbs(kept), self.send_time, now)
        entries: list[Entry] = []
        for one in kept:
            smb, _ = identity = ledger.identity(one)
            # A command that was parked stays so when its topic is read again: only a person replays it.
            if smb not in campaigns.standings or one.place in parked:
                outcome.rejected.append((one, BadMessage(UNKNOWN_SMB, "data.smb_id: no such SMB", one.type)))
                continue
            if _is_repeated(one, known.get(identity), outcome):
                continue
            known[identity] = ledger.known(one)
            decision = campaigns.command(smb, _COMMANDS[one.type](one.data), Cause.of(one))
            outcome.applied += decision.refusal is None
            outcome.refused += decision.refusal is not None
            entries.append(Entry(one, smb, "command", "refused" if decision.refusal else "applied"))
        await ledger.write(transaction, entries, now)
        outcome.add(await campaigns.save())
        return outcome

    async def _begin_advance(self, transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
        outcome = await jobs.register(transaction, trigger, now)
        if outcome.applied:
            # Ranges of all heads, so that a shard locks a bounded number of them however few have campaigns.
            ranges = await jobs.ranges_of(transaction, heads.POPULATION, self.shard_max_smbs)
            moving = await store.moving_ranges(transaction, ranges)
            outcome.shards += await jobs.start(transaction, trigger.type, trigger.event_key, moving, now)
        return outcome


def _without_erased(transaction: Transaction, inputs: Sequence[Input], outcome: Outcome) -> list[Input]:
    kept = [one for one in inputs if one.smb not in transaction.erased]
    outcome.erased += len(inputs) - len(kept)
    return kept


def _is_repeated(message: Input, first: Known | None, outcome: Outcome) -> bool:
    """Tell whether the identity was used before, and count it so."""
    if first is None:
        return False
    outcome.repeated += 1
    outcome.copies += ledger.copy_of(message, first)
    return True


def _smbs(inputs: Sequence[Input]) -> list[SmbKey]:
    return sorted({ledger.identity(one).smb for one in inputs})


def _approval_entry(message: Input, smb: SmbKey, services: Services | None) -> Entry:
    """Write an approval down: applied, or waiting for its SMB. A rejection waits for nothing."""
    data = message.data
    if not isinstance(data, ApprovalSubmitted):
        raise TypeError(message.type)
    if data.decision == "rejected":
        return Entry(message, smb, "approval", "applied")
    takes_it = services is not None and not services.is_deleted
    return Entry(message, smb, "approval", "applied" if takes_it else "waiting", data.service)


def _has_no_room(entry: Entry, services: Services | None) -> bool:
    """Tell whether an approval would make one service too many pending."""
    if services is None or entry.outcome != "applied" or entry.service is None or not is_full(services.pending):
        return False
    return entry.service not in {*services.pending, *services.activated}


def _pending_after(entry: Entry, services: Services | None) -> tuple[str, ...] | None:
    """Give the pending services after an approval that is applied; None when they stay as they are."""
    if services is None or entry.outcome != "applied" or entry.service is None:
        return None
    pending = approve(services.pending, services.activated, entry.service)
    return None if pending == services.pending else pending


def _pending_changed(cause: Input, smb: SmbKey, old: Sequence[str], new: Sequence[str]) -> Announcement:
    change = ServicesChange(old=tuple(old), new=tuple(new))
    data = SMBUpdated(smb_id=smb.smb_id, changes=ProfileChanges(services_approved_pending=change))
    return Announcement.because(cause, smb, data)
