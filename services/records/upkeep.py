"""The weekly jobs of the records service: the cleanup, and how complete profiles are."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from services.records import rules, upkeep_store
from services.records.erasure import erase
from shared.runtime import heads, jobs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard

CLEANUP = "CleanupDeletedSMBs"
DATA_QUALITY = "RecalculateDataQuality"
# A soft-deleted SMB can be restored for so long.
DELETED_KEPT = timedelta(days=90)
# A profile may hold ten thousand characters of description: so many are in memory at once.
PROFILES_AT_ONCE = 500

Ranges = list[tuple[SmbKey, SmbKey]]


class Upkeep:
    """Begins the weekly jobs on their triggers and does their shards, by one policy."""

    def __init__(self, policy: Policy, shard_max_smbs: int) -> None:
        self.policy = policy
        self.shard_max_smbs = shard_max_smbs
        self._jobs: dict[str, Callable[[Transaction, Input, datetime], Awaitable[tuple[Outcome, int, int]]]] = {
            CLEANUP: self._clean_up,
            DATA_QUALITY: self._rate_profiles,
        }

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Split the jobs of new triggers into shards; a trigger that comes again begins nothing."""
        outcome = Outcome()
        for trigger in inputs:
            outcome.add(await self._begin(transaction, trigger, now))
        return outcome

    async def handle_shard(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Do one key range of SMBs of a job; one that is done already is left."""
        (message,) = inputs
        shard = message.data
        if not isinstance(shard, JobShard):
            raise TypeError(message.type)
        if not await jobs.is_open(transaction, shard):
            return Outcome(repeated=1)
        outcome, seen, changed = await self._jobs[shard.job](transaction, message, now)
        await jobs.finish(transaction, shard, seen=seen, changed=changed, now=now)
        outcome.applied = 1
        return outcome

    async def _begin(self, transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
        outcome = await jobs.register(transaction, trigger, now)
        if outcome.applied:
            # Ranges of all heads, so that a shard locks a bounded number of them however few are due.
            ranges = await jobs.ranges_of(transaction, heads.POPULATION, self.shard_max_smbs)
            if trigger.type == CLEANUP:
                ranges = await upkeep_store.due_ranges(transaction, ranges, deleted_before=now - DELETED_KEPT)
            outcome.shards += await jobs.start(transaction, trigger.type, trigger.event_key, ranges, now)
        return outcome

    async def _clean_up(self, transaction: Transaction, message: Input, now: datetime) -> tuple[Outcome, int, int]:
        """Erase those SMBs that were deleted long enough ago."""
        deleted = await upkeep_store.find_deleted(transaction, transaction.locked, before=now - DELETED_KEPT)
        outcome = await erase(transaction, deleted, now, causation_id=message.id)
        return outcome, len(transaction.locked), len(deleted)

    async def _rate_profiles(self, transaction: Transaction, message: Input, now: datetime) -> tuple[Outcome, int, int]:
        """Compute the data quality by the same rule as every change of a profile does; only differences are written.

        Nobody is told, and the profile counts as unchanged.
        """
        del message, now
        seen = changed = 0
        for first in range(0, len(transaction.locked), PROFILES_AT_ONCE):
            keys = transaction.locked[first : first + PROFILES_AT_ONCE]
            profiles = await upkeep_store.read_profiles(transaction, keys)
            scores = {one.smb: rules.data_quality(one, self.policy.data_quality) for one in profiles}
            differing = {one.smb: scores[one.smb] for one in profiles if scores[one.smb] != one.data_quality_score}
            await upkeep_store.save_data_quality(transaction, differing)
            seen += len(profiles)
            changed += len(differing)
        return Outcome(), seen, changed
