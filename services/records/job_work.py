"""What records workers do for jobs: one claims a chunk, does it in one transaction, and looks for the next.

A claim is held by an open transaction, so it ends with its process: whoever comes next goes on at once. Done is what
the transaction says that did it, so no chunk counts twice whatever the claims say.
"""

from collections.abc import Callable
from typing import Protocol

from services.records.bulk.updating import BulkUpdating, ZoneChanging
from services.records.handler import RecordsHandler
from services.records.imports.applying import Importing
from services.records.job_store import claim_chunk
from services.records.jobs import JobKind, OpenChunk
from shared.runtime import metrics
from shared.runtime.database import Database, Transaction
from shared.runtime.errors import cause_of, is_temporary, is_too_slow, one_line, sqlstate
from shared.runtime.logs import logger
from shared.schemas.topics import Topics

# Whoever opened a job waits no longer than this for its begin.
PAUSE_SECONDS = 0.5
# Looked at for one that is free: more than there are workers.
CANDIDATES = 50
# Two chunks gave the same name, or waited for each other: one at a time they succeed.
_MET = frozenset({"23505", "40P01"})


class Work(Protocol):
    """What the chunks of one kind of job need."""

    async def apply(self, chunk: OpenChunk, *, alone: bool) -> None:
        """Do a chunk in one transaction; `alone` keeps others from giving names meanwhile."""

    async def split(self, chunk: OpenChunk, reason: str) -> None:
        """Make two of a chunk that can't be done; one that has a single row is done by refusing it."""


class JobWork:
    """Does chunks of all jobs, for as long as there are any."""

    def __init__(self, database: Database, topics: Topics, handler: RecordsHandler) -> None:
        self._database = database
        self._work: dict[JobKind, Work] = {
            JobKind.IMPORT: Importing(database, topics, handler),
            JobKind.BULK_UPDATE: BulkUpdating(database, topics, handler),
            JobKind.ZONE_CHANGE: ZoneChanging(database, topics, handler),
        }

    async def advance(self, is_ending: Callable[[], bool] = lambda: False) -> None:
        """Do chunks until there are none that nobody else does, or the process is to end.

        Harmless in any number of processes at once. Raises temporary trouble of the database, with the chunk as it was.
        """
        while not is_ending():
            async with self._database.connect() as connection:
                chunk = await claim_chunk(Transaction(connection), CANDIDATES)
                if chunk is None:
                    return
                await self._do(chunk)

    async def _do(self, chunk: OpenChunk) -> None:
        work = self._work[chunk.kind]
        try:
            try:
                await work.apply(chunk, alone=False)
            except Exception as error:
                if sqlstate(error) not in _MET:
                    raise
                await work.apply(chunk, alone=True)
        except Exception as error:
            if is_temporary(error) and not is_too_slow(error):
                raise
            # A bad deploy or a row that nobody thought of: what can be done is done, and the log tells of the rest.
            metrics.RETRIES.labels("records", cause_of(error)).inc()
            told = {"tenant_id": chunk.tenant_id, "job_id": chunk.job_id, "chunk": chunk.number}
            logger().error("chunk can't be done as a whole, it is split", error=one_line(error), **told)
            await work.split(chunk, one_line(error))
