"""One chunk of a job over SMBs in one transaction."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.records.bulk import chunks
from services.records.bulk.opening import changes_of, filter_of
from services.records.changes import SmbChange
from services.records.handler import RecordsHandler
from services.records.job_store import CLOCK, finish_chunk, split_chunk
from services.records.jobs import Counts, DoneBefore, OpenChunk
from services.records.listing_store import conditions, parameters
from services.records.zone_changes import OPEN_CAMPAIGNS, follow_zone
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.fields import of_checked
from shared.schemas.identity import SmbKey
from shared.schemas.topics import Topics


class SmbsInChunks:
    """What jobs over SMBs have in common: find them, lock their heads, find again who is meant, act, count."""

    def __init__(self, database: Database, topics: Topics, handler: RecordsHandler) -> None:
        self.database = database
        self.topics = topics
        self.handler = handler

    async def apply(self, chunk: OpenChunk, *, alone: bool) -> None:
        """Do a chunk: all its SMBs and its being done become visible at once. One that is done is left."""
        del alone  # no names are given
        asked, values = self.asked(chunk)
        async with self.database.transaction() as transaction:
            keys = await chunks.find_smbs(transaction, chunk, asked, values)

        async def act(transaction: Transaction, now: datetime) -> Outcome:
            present = await chunks.still(transaction, chunk.tenant_id, keys, asked, values) if keys else []
            outcome, updated, refused = await self.change(transaction, chunk, present, now)
            refused += max(0, chunk.chunk.rows - len(keys)) if chunk.chunk.smb_ids is not None else 0
            unchanged = max(0, max(chunk.chunk.rows, len(keys)) - updated - refused)
            if not await finish_chunk(transaction, chunk, Counts(0, updated, unchanged, refused), now):
                raise DoneBefore
            return outcome

        try:
            await transact(self.database, self.topics, keys, act)
        except DoneBefore:
            return

    async def split(self, chunk: OpenChunk, reason: str) -> None:
        """Make two chunks of one; a single SMB counts as refused, and the log has said why."""
        del reason
        asked, values = self.asked(chunk)
        async with self.database.transaction() as transaction:
            keys = await chunks.find_smbs(transaction, chunk, asked, values)
            if len(keys) < 2:  # noqa: PLR2004  halves of what is more than one
                now = (await transaction.execute(CLOCK)).scalar_one()
                await finish_chunk(transaction, chunk, Counts(refused=chunk.chunk.rows), now)
                return
            half = len(keys) // 2
            rows = max(1, chunk.chunk.rows - half)
            if chunk.chunk.smb_ids is not None:
                ids = [key.smb_id for key in keys]
                first = replace(chunk.chunk, rows=half, smb_ids=ids[:half])
                second = replace(chunk.chunk, rows=rows, smb_ids=ids[half:])
            else:
                first = replace(chunk.chunk, rows=half, last_smb_id=keys[half - 1].smb_id)
                second = replace(chunk.chunk, rows=rows, first_smb_id=keys[half].smb_id)
            await split_chunk(transaction, chunk, (first, second))

    def asked(self, chunk: OpenChunk) -> tuple[tuple[str, ...], dict[str, Any]]:
        """What is asked of an SMB to be meant, and the values for that."""
        raise NotImplementedError

    async def change(
        self, transaction: Transaction, chunk: OpenChunk, keys: list[SmbKey], now: datetime
    ) -> tuple[Outcome, int, int]:
        """Change locked SMBs; gives how many changed, and how many were refused."""
        raise NotImplementedError


class BulkUpdating(SmbsInChunks):
    """Bulk updates: the same change for each SMB, as a single write makes it."""

    def asked(self, chunk: OpenChunk) -> tuple[tuple[str, ...], dict[str, Any]]:
        """What the filter says."""
        wanted = filter_of(chunk.request)
        return ((), {}) if wanted is None else (conditions(wanted), parameters(wanted))

    async def change(
        self, transaction: Transaction, chunk: OpenChunk, keys: list[SmbKey], now: datetime
    ) -> tuple[Outcome, int, int]:
        """Change what differs; an SMB that can't be changed is left out and counted."""
        given = changes_of(chunk.request).given
        changes = [_change(key, given) for key in keys]
        done = await self.handler.change_smbs(transaction, changes, now, partly=True)
        return done.outcome, len(done.profiles), len(done.refused)


class ZoneChanging(SmbsInChunks):
    """Open campaigns that follow the time zone of their SMBs' community."""

    def asked(self, chunk: OpenChunk) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The SMBs that are in the community now; those that leave it follow another zone by themselves."""
        return OPEN_CAMPAIGNS, {"community_id": chunk.request["community_id"]}

    async def change(
        self, transaction: Transaction, chunk: OpenChunk, keys: list[SmbKey], now: datetime
    ) -> tuple[Outcome, int, int]:
        """Move what stands elsewhere."""
        del chunk
        outcome = await follow_zone(transaction, keys, self.handler.policy, now)
        return outcome, len(outcome.touched), 0


def _change(key: SmbKey, given: Mapping[str, Any]) -> SmbChange:
    values = {name: one.get_default(call_default_factory=False) for name, one in SmbChange.model_fields.items()}
    return of_checked(SmbChange, values | dict(given) | {"tenant_id": key.tenant_id, "id": key.smb_id}, given.keys())
