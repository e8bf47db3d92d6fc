"""The weekly jobs of the records service: the cleanup, and how complete profiles are."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.campaign import approvals
from services.engagement import unclaimed
from services.engagement.handler import EngagementHandler
from services.records import profile_store, rules, upkeep_store
from services.records.erasure import ROWS_AT_ONCE, erase
from shared.runtime import heads, jobs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.shards import CleanupDeletedSMBsShard, JobShard
from shared.schemas.triggers import CleanupDeletedSMBs

# A profile may hold ten thousand characters of description: so many are in memory at once.
PROFILES_AT_ONCE = 500


class Done(NamedTuple):
    """What became of a shard in one transaction; `goes_on` when there was too much for it."""

    outcome: Outcome
    seen: int
    changed: int
    goes_on: bool = False


class Upkeep:
    """Begins the weekly jobs on their triggers and does their shards, by one policy."""

    def __init__(
        self, policy: Policy, engagement: EngagementHandler, shard_max_smbs: int, rows_at_once: int = ROWS_AT_ONCE
    ) -> None:
        self.policy = policy
        self.engagement = engagement
        self.shard_max_smbs = shard_max_smbs
        self.rows_at_once = rows_at_once

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Split the jobs of new triggers into shards; a trigger that comes again begins nothing."""
        outcome = Outcome()
        for trigger in inputs:
            outcome.add(await self._begin(transaction, trigger, now))
        return outcome

    async def handle_shard(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Do one key range of SMBs of a job; one that is done already is left.

        One that was too much for a transaction sends itself again and goes on where it stopped: what is done it does
        not find any more.
        """
        (message,) = inputs
        shard = message.data
        if not isinstance(shard, JobShard):
            raise TypeError(message.type)
        if not await jobs.is_open(transaction, shard):
            return Outcome(repeated=1)
        if isinstance(shard, CleanupDeletedSMBsShard):
            done = await self._clean_up(transaction, message.id, now)
        else:
            done = await self._rate_profiles(transaction)
        if done.goes_on:
            done.outcome.shards.append(shard)
        else:
            await jobs.finish(transaction, shard, seen=done.seen, changed=done.changed, now=now)
        done.outcome.applied = 1
        return done.outcome

    async def _begin(self, transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
        outcome = await jobs.register(transaction, trigger, now)
        if outcome.applied:
            # Ranges of all heads, so that a shard locks a bounded number of them however few are due.
            ranges = await jobs.ranges_of(transaction, heads.POPULATION, self.shard_max_smbs)
            if isinstance(trigger.data, CleanupDeletedSMBs):
                before = now - rules.DELETED_KEPT
                ranges = await upkeep_store.due_ranges(transaction, ranges, deleted_before=before)
            outcome.shards += await jobs.start(transaction, trigger.type, trigger.event_key, ranges, now)
        return outcome

    async def _clean_up(self, transaction: Transaction, causation_id: str, now: datetime) -> Done:
        """Erase what was deleted long enough ago, and remove what has waited long enough for an SMB.

        Counted as changed are SMBs that were erased and heads that went.
        """
        locked = [smb for smb in transaction.locked if smb not in transaction.erased]
        deleted = await upkeep_store.find_deleted(transaction, locked, before=now - rules.DELETED_KEPT)
        unknown = await upkeep_store.find_unknown(transaction, locked)
        outcome = await erase(transaction, deleted, now, causation_id=causation_id)
        goes_on = await self._remove_unclaimed(transaction, unknown, now)
        forgotten = await upkeep_store.remove_empty_heads(transaction, unknown)
        return Done(outcome, len(transaction.locked), len(deleted) + forgotten, goes_on)

    async def _remove_unclaimed(self, transaction: Transaction, unknown: Sequence[SmbKey], now: datetime) -> bool:
        before, at_most = now - rules.UNCLAIMED_KEPT, self.rows_at_once
        events = await unclaimed.remove_unclaimed(transaction, unknown, before, at_most)
        await self.engagement.rescore(transaction, events, now)
        removed = await approvals.remove_unclaimed(transaction, unknown, before, at_most)
        return max(sum(events.values()), removed) >= at_most

    async def _rate_profiles(self, transaction: Transaction) -> Done:
        """Compute the data quality by the rule that every change of a profile goes by; only differences are written.

        Nobody is told, and the profile counts as unchanged.
        """
        seen = changed = 0
        for first in range(0, len(transaction.locked), PROFILES_AT_ONCE):
            keys = transaction.locked[first : first + PROFILES_AT_ONCE]
            profiles = await profile_store.read_profiles(transaction, keys)
            scores = {smb: rules.data_quality(one, self.policy.data_quality) for smb, one in profiles.items()}
            differing = {smb: scores[smb] for smb, one in profiles.items() if scores[smb] != one.data_quality_score}
            await upkeep_store.save_data_quality(transaction, differing)
            seen += len(profiles)
            changed += len(differing)
        return Done(Outcome(), seen, changed)
