"""One chunk of an import in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.records import store
from services.records.changes import SmbChange
from services.records.errors import Refused
from services.records.files.columns import RefusedRow
from services.records.handler import RecordsHandler
from services.records.imports import matching, staging
from services.records.imports.cutting import shares_a_bucket
from services.records.imports.planning import Plan, Planned, plan, refused_row
from services.records.job_store import CLOCK, finish_chunk, split_chunk
from services.records.jobs import Counts, DoneBefore, OpenChunk
from services.records.profile_store import replace_contexts
from services.records.profiles import NewSmb
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.topics import Topics

# So often a chunk is planned anew because SMBs changed between its plan and its locks, before the row is refused.
ATTEMPTS = 5


class _PlanChanged(Exception):
    """An SMB is not what it was when the chunk was planned."""


class _Rehearsed(Exception):
    """A dry run came to its end, and nothing of it is kept."""

    def __init__(self, counts: Counts, refused: Sequence[RefusedRow]) -> None:
        super().__init__()
        self.counts = counts
        self.refused = refused


class Importing:
    """Applies the chunks of imports, with the same handler and so the same events as single writes."""

    def __init__(self, database: Database, topics: Topics, handler: RecordsHandler) -> None:
        self._database = database
        self._topics = topics
        self._handler = handler

    async def apply(self, chunk: OpenChunk, *, alone: bool) -> None:
        """Do a chunk: all its rows and its being done become visible at once. One that is done is left.

        `alone` keeps all others from giving names in the tenant; else chunks of whole buckets run side by side. Raises
        whatever PostgreSQL says, with nothing changed.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._attempt(chunk, alone=alone, is_last=attempt == ATTEMPTS)
            except _PlanChanged:
                continue
            except DoneBefore:
                pass
            return
        message = f"chunk {chunk.number} of {chunk.job_id} changes faster than it can be planned"
        raise TimeoutError(message)

    async def split(self, chunk: OpenChunk, reason: str) -> None:
        """Make two chunks of one; of a single row say why it could not be carried out."""
        whole = chunk.chunk
        async with self._database.transaction() as transaction:
            rows = await matching.read_places(transaction, chunk)
            if len(rows) > 1:
                bucket, line = rows[len(rows) // 2 - 1]
                first = replace(whole, rows=len(rows) // 2, last_bucket=bucket, last_line=line)
                second = replace(whole, rows=whole.rows - first.rows, first_bucket=bucket, first_line=line + 1)
                await split_chunk(transaction, chunk, (first, second))
                return
            refused = [RefusedRow(line, None, None, f"could not be carried out: {reason}"[:500]) for _, line in rows]
            await matching.remove_rows(transaction, chunk)
            now = (await transaction.execute(CLOCK)).scalar_one()
            await _close(transaction, chunk, refused, Counts(refused=len(refused)), now)

    async def _attempt(self, chunk: OpenChunk, *, alone: bool, is_last: bool) -> None:
        planned = await self._plan(chunk)
        act = _Act(self._handler, chunk, planned, alone=alone, refuses=is_last)
        try:
            await transact(self._database, self._topics, planned.changed_keys, act, new=planned.new_keys)
        except _Rehearsed as rehearsed:
            told = rehearsed

            async def account(transaction: Transaction, now: datetime) -> Outcome:
                await _close(transaction, chunk, told.refused, told.counts, now)
                return Outcome()

            await transact(self._database, self._topics, (), account)

    async def _plan(self, chunk: OpenChunk) -> Plan:
        async with self._database.transaction() as transaction:
            await matching.analyze_grown_smbs(transaction)
            rows = await matching.find_changed_rows(transaction, chunk)
        return plan(chunk, rows)


class _Act:
    """What happens under the locks."""

    def __init__(self, handler: RecordsHandler, chunk: OpenChunk, planned: Plan, *, alone: bool, refuses: bool) -> None:
        self._handler = handler
        self._chunk = chunk
        self._plan = planned
        self._alone = alone or planned.gives_names or shares_a_bucket(chunk.chunk)
        self._refuses = refuses
        self._refused = list(planned.refused)
        self._new = list(planned.new)

    async def __call__(self, transaction: Transaction, now: datetime) -> Outcome:
        """Create, change and refuse; in a dry run raise what it came to, so that nothing of it is kept."""
        outcome = Outcome()
        created = updated = 0
        if self._new or self._plan.changes:
            await self._hold(transaction)
            created = await self._create(transaction, outcome, now)
            updated = await self._change(transaction, outcome, now)
        chunk = self._chunk
        rows = await matching.remove_rows(transaction, chunk)
        refused = len(self._refused)
        counts = Counts(created, updated, rows - created - updated - refused, refused)
        if chunk.dry_run:
            raise _Rehearsed(counts, self._refused)
        await _close(transaction, chunk, self._refused, counts, now)
        return outcome

    async def _hold(self, transaction: Transaction) -> None:
        """Keep communities and names, in everybody's order, and make sure that rows still mean the same SMBs."""
        tenant_id = self._chunk.tenant_id
        joined = {one.request.community_id for one in (*self._new, *self._plan.changes)} - {None}
        if joined:
            await store.find_communities(transaction, {(tenant_id, one) for one in joined if one}, hold=True)
        await store.lock_names(transaction, {tenant_id}, shared=not self._alone)
        if self._plan.meant and not await matching.are_still_meant(transaction, tenant_id, self._plan.meant):
            raise _PlanChanged

    async def _create(self, transaction: Transaction, outcome: Outcome, now: datetime) -> int:
        while self._new:
            requests = [one.request for one in self._new if isinstance(one.request, NewSmb)]
            try:
                outcome.add(await self._handler.create_smbs(transaction, requests, now, holds_names=True))
            except Refused as error:
                if not self._refuses:
                    raise _PlanChanged from error
                self._refuse(self._new.pop(error.position), error)
            else:
                break
        return len(self._new)

    async def _change(self, transaction: Transaction, outcome: Outcome, now: datetime) -> int:
        planned = self._plan.changes
        changes = [one.request for one in planned if isinstance(one.request, SmbChange)]
        done = await self._handler.change_smbs(transaction, changes, now, partly=True)
        outcome.add(done.outcome)
        left_out = {error.position for error in done.refused}
        for error in done.refused:
            self._refuse(planned[error.position], error)
        contexts = {
            one.request.key: one.context
            for place, one in enumerate(planned)
            if one.context is not None and place not in left_out
        }
        replaced = await replace_contexts(transaction, contexts, now) if contexts else set()
        outcome.touched |= replaced
        return len(replaced | done.profiles.keys())

    def _refuse(self, one: Planned, error: Refused) -> None:
        value = getattr(one.request, error.field, None)
        columns = self._chunk.request["columns"]
        self._refused.append(refused_row(one.row, columns, error.field, value, error.reason))


async def _close(
    transaction: Transaction, chunk: OpenChunk, refused: Sequence[RefusedRow], counts: Counts, now: datetime
) -> None:
    """Keep what was refused, and mark the chunk as done; its staged rows are gone."""
    await staging.refuse(transaction, chunk.tenant_id, chunk.job_id, refused)
    if chunk.dry_run:
        await matching.remove_rows(transaction, chunk)
    if not await finish_chunk(transaction, chunk, counts, now):
        raise DoneBefore
