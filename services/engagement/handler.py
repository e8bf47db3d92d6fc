"""What happens in one transaction of the engagement service."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from services.engagement import rules, store
from services.engagement.events import EVENT_TYPES, as_row, last_seen, says_the_same, stands_at
from services.engagement.store import EventRow, LastSeen, ToAnnounce
from shared.runtime import heads, jobs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Copy, Outcome
from shared.schemas.announcements import GroupPoints, SMBEngagementChanged
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard

Identity = tuple[int, int, int]


class EngagementHandler:
    """Applies events, and the nightly recalculation, by one policy."""

    def __init__(self, policy: Policy, shard_max_smbs: int) -> None:
        self.policy = policy
        self.shard_max_smbs = shard_max_smbs

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Apply events (stored once each, their SMBs scored as of now) and triggers (split into shards)."""
        outcome = await self._apply_events(transaction, [one for one in inputs if one.type in EVENT_TYPES], now)
        for trigger in inputs:
            if trigger.type not in EVENT_TYPES:
                outcome.add(await self._begin_recalculation(transaction, trigger, now))
        return outcome

    async def handle_shard(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Score one key range of SMBs as of now; one that is done already is left."""
        (message,) = inputs
        shard = message.data
        if not isinstance(shard, JobShard):
            raise TypeError(message.type)
        if not await jobs.is_open(transaction, shard):
            return Outcome(repeated=1)
        keys = [smb for smb in transaction.locked if smb not in transaction.erased]
        to_announce, changed = await store.score_range(transaction, keys, self.policy.score, now) if keys else ([], 0)
        announcements = await self._announce(transaction, to_announce, {}, now)
        await jobs.finish(transaction, shard, seen=len(keys), changed=changed, now=now)
        return Outcome(applied=1, announcements=announcements)

    async def rescore(self, transaction: Transaction, keys: Iterable[SmbKey], now: datetime) -> list[Announcement]:
        """Score locked SMBs as of now; for whoever creates or restores them."""
        nothing_new = dict.fromkeys(keys, LastSeen(None, None, None, None))
        if not nothing_new:
            return []
        to_announce = await store.score_touched(transaction, nothing_new, self.policy.score, now)
        return await self._announce(transaction, to_announce, {}, now)

    async def _apply_events(self, transaction: Transaction, events: Sequence[Input], now: datetime) -> Outcome:
        outcome = Outcome()
        first: dict[Identity, tuple[Input, EventRow]] = {}
        again: list[tuple[Input, EventRow]] = []
        for event in events:
            if event.smb is None or event.smb in transaction.erased:
                outcome.erased += 1
                continue
            row = as_row(event, event.smb)
            if first.setdefault(_identity(row), (event, row))[0] is not event:
                again.append((event, row))
        if not first:
            return outcome
        rows = [first[identity][1] for identity in sorted(first)]
        known: dict[Identity, Any] = {}
        if await store.insert_events(transaction, rows, now) < len(rows):
            known = await self._known_before(transaction, rows, now)
        self._count_repeated(outcome, first, again, known)
        new = [row for row in rows if _identity(row) not in known] if known else rows
        outcome.applied += len(new)
        if new:
            to_announce = await store.score_touched(transaction, last_seen(new), self.policy.score, now)
            outcome.announcements += await self._announce(transaction, to_announce, _causes(first, to_announce), now)
        return outcome

    async def _known_before(
        self, transaction: Transaction, rows: Sequence[EventRow], now: datetime
    ) -> dict[Identity, Any]:
        """The stored events that this transaction did not insert, by identity."""
        stored = await store.find_events(transaction, rows)
        return {
            _identity(row): found
            for row in rows
            if not (stands_at(row, found := stored[_identity(row)]) and found.received_at == now)
        }

    def _count_repeated(
        self,
        outcome: Outcome,
        first: dict[Identity, tuple[Input, EventRow]],
        again: Sequence[tuple[Input, EventRow]],
        known: dict[Identity, Any],
    ) -> None:
        """Count what was applied before, and note the copies; each is compared with the event that was applied."""
        for identity, found in known.items():
            event, row = first[identity]
            outcome.repeated += 1
            if not stands_at(row, found):
                outcome.copies.append(Copy(event, not says_the_same(row, found)))
        for event, row in again:
            identity = _identity(row)
            applied = known[identity] if identity in known else first[identity][1]
            outcome.repeated += 1
            if not stands_at(row, applied):
                outcome.copies.append(Copy(event, not says_the_same(row, applied)))

    async def _announce(
        self,
        transaction: Transaction,
        to_announce: Sequence[ToAnnounce],
        causes: dict[SmbKey, Input],
        now: datetime,
    ) -> list[Announcement]:
        if not to_announce:
            return []
        await store.mark_announced(transaction, [one.smb for one in to_announce])
        announcements = []
        for one in to_announce:
            data = SMBEngagementChanged(
                smb_id=one.smb.smb_id,
                old_score=one.old_score,
                new_score=one.new_score,
                delta=one.new_score - one.old_score,
                groups=GroupPoints(**{name: rules.points(value) for name, value in one.groups._asdict().items()}),
                policy_version=self.policy.version,
                as_of=now.date(),
            )
            cause = causes.get(one.smb)
            announcements.append(
                Announcement.because(cause, one.smb, data) if cause else Announcement(one.smb, data),
            )
        return announcements

    async def _begin_recalculation(self, transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
        outcome = await jobs.register(transaction, trigger, now)
        if outcome.applied:
            ranges = await jobs.ranges_of(transaction, heads.POPULATION, self.shard_max_smbs)
            outcome.shards += await jobs.start(transaction, trigger.type, trigger.event_key, ranges, now)
        return outcome


def _identity(row: EventRow) -> Identity:
    """Tenant, SMB and event key as integers: sorted in the heads' order, and much faster than UUID objects."""
    return row.tenant_id.int, row.smb_id.int, row.event_key.int


def _causes(events: dict[Identity, tuple[Input, EventRow]], announced: Sequence[ToAnnounce]) -> dict[SmbKey, Input]:
    """One of the events that led to each announcement, for those few SMBs that have one."""
    wanted = {(one.smb.tenant_id.int, one.smb.smb_id.int): one.smb for one in announced}
    return {wanted[identity[:2]]: event for identity, (event, _) in events.items() if identity[:2] in wanted}
