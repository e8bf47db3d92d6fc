"""What happens in one transaction of the tier service."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.tier import rules, store
from services.tier.store import Standing, TierChange
from shared.runtime import heads, jobs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBTierChanged
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard
from shared.schemas.triggers import Trigger

HINT = "SMBEngagementChanged"
# The reasons that SMBTierChanged and the history give.
ENGAGEMENT_CHANGED = "engagement changed"
NIGHTLY_EVALUATION = "nightly evaluation"


class TierHandler:
    """Compares scores with tiers, when a score was announced and every night, by one policy."""

    def __init__(self, policy: Policy, shard_max_smbs: int) -> None:
        self.policy = policy
        self.shard_max_smbs = shard_max_smbs
        self._names = {rule.tier: rule.name for rule in policy.tiers}

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Look at the SMBs whose scores were announced, and register triggers.

        An announcement is applied when it has been looked at, whether or not it was a hint and anything had to
        change: nothing that it says is stored, so one that comes again is looked at again and finds nothing to do.
        """
        outcome = Outcome()
        causes: dict[SmbKey, Input] = {}
        for message in inputs:
            if isinstance(message.data, Trigger):
                outcome.add(await self._register(transaction, message, now))
            elif message.smb in transaction.erased:
                outcome.erased += 1
            else:
                outcome.applied += 1
                if message.type == HINT and message.smb is not None:
                    causes[message.smb] = message
        if causes:
            standings = await store.read_standings(transaction, sorted(causes))
            changes = self._changes(standings, ENGAGEMENT_CHANGED, now)
            outcome.announcements += await self._save(transaction, changes, causes, now)
        return outcome

    async def handle_shard(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Compare score and tier of one key range of SMBs; one that is done already is left."""
        (message,) = inputs
        shard = message.data
        if not isinstance(shard, JobShard):
            raise TypeError(message.type)
        if not await jobs.is_open(transaction, shard):
            return Outcome(repeated=1)
        standings = await store.read_standings(
            transaction, [smb for smb in transaction.locked if smb not in transaction.erased]
        )
        changes = self._changes(standings, NIGHTLY_EVALUATION, now)
        announcements = await self._save(transaction, changes, {}, now)
        await jobs.finish(transaction, shard, seen=len(standings), changed=len(changes), now=now)
        return Outcome(applied=1, announcements=announcements)

    async def start_due_evaluations(self, transaction: Transaction, now: datetime) -> Outcome:
        """Start the registered evaluations that no longer wait for their day's recalculation.

        Called again, or by two workers at once, it starts no run twice.
        """
        outcome = Outcome()
        for job, run_id in await store.lock_due_runs(transaction, now):
            ranges = await jobs.ranges_of(transaction, heads.POPULATION, self.shard_max_smbs)
            outcome.shards += await jobs.start(transaction, job, run_id, ranges, now)
        return outcome

    async def _register(self, transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
        outcome = await jobs.register(transaction, trigger, now)
        if outcome.applied:
            outcome.add(await self.start_due_evaluations(transaction, now))
        return outcome

    def _changes(self, standings: Sequence[Standing], reason: str, now: datetime) -> list[TierChange]:
        changes = []
        for smb, tier, changed_at, score in standings:
            new_tier = rules.evaluate(tier, score, self.policy, changed_at, now)
            if new_tier != tier:
                changes.append(TierChange(smb, tier, new_tier, score, reason))
        return changes

    async def _save(
        self, transaction: Transaction, changes: Sequence[TierChange], causes: Mapping[SmbKey, Input], now: datetime
    ) -> list[Announcement]:
        if not changes:
            return []
        await store.save_tiers(transaction, changes, now)
        await store.insert_changes(transaction, changes, self.policy.version, now)
        announcements = []
        for change in changes:
            data, cause = self._announced(change), causes.get(change.smb)
            announcements.append(
                Announcement.because(cause, change.smb, data) if cause else Announcement(change.smb, data)
            )
        return announcements

    def _announced(self, change: TierChange) -> SMBTierChanged:
        return SMBTierChanged(
            smb_id=change.smb.smb_id,
            old_tier=change.old_tier,
            new_tier=change.new_tier,
            old_tier_name=self._names[change.old_tier],
            new_tier_name=self._names[change.new_tier],
            direction=rules.direction(change.old_tier, change.new_tier),
            score=change.score,
            reason=change.reason,
        )
