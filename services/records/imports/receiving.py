"""Taking an upload: its rows are checked and staged while they arrive, and handed over to the workers at its end.

It runs in the API's process under the rights of one tenant, holds some thousand rows at a time, and leaves nothing that
counts when it breaks off at any moment.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID, uuid4

from services.records.files.columns import CheckedRows
from services.records.files.errors import FileRefused, TooManyRows
from services.records.files.reading import FileFormat, FileOfSmbs
from services.records.imports import staging
from services.records.imports.cutting import chunks_of
from services.records.imports.repetition import refuse_repeated
from services.records.imports.slices import Slice
from services.records.job_store import insert_chunks
from services.records.jobs import ImportRunning
from shared.runtime.database import TenantDatabase

ROWS_MAX = 1_000_000
# Rows in memory before they are staged; so many again while those are on their way.
SLICE_ROWS = 10_000
# How often an upload that brings little shows that it goes on.
SIGN_OF_LIFE_SECONDS = 20.0


class UploadGivenUp(FileRefused):
    """The upload stood still for too long, and was given up."""

    def __init__(self) -> None:
        super().__init__("file", "stood still for too long; upload it again")


@dataclass(frozen=True, slots=True)
class Upload:
    """What is uploaded, and what is to be done with it."""

    tenant_id: UUID
    file_format: FileFormat
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    encoding: str | None = None
    dry_run: bool = False
    rows_max: int = ROWS_MAX


async def receive_import(database: TenantDatabase, upload: Upload, pieces: AsyncIterator[bytes]) -> UUID:
    """Stage the rows of a file that arrives in pieces, and give the job that will apply them.

    Raises ImportRunning while another import of the tenant has not ended, and FileRefused for a file that can't be
    taken; whatever goes wrong, nothing of the file is kept then.
    """
    file = FileOfSmbs(upload.file_format, upload.mapping, upload.encoding)
    job_id = uuid4()
    async with database.transaction() as transaction:
        running = await staging.open_import(transaction, upload.tenant_id, job_id, dry_run=upload.dry_run)
    if running is not None:
        raise ImportRunning(running)
    receiving = _Receiving(database, upload, job_id, file)
    try:
        async for piece in pieces:
            await receiving.take(piece)
        await receiving.end()
    except BaseException as error:
        # Also when the request was cancelled: the tenant's next import must not wait for this one.
        failing = asyncio.ensure_future(receiving.fail(error))
        with suppress(Exception):
            await asyncio.shield(failing)
        raise
    return job_id


class _Receiving:
    """One upload on its way: a slice fills up while the one before it is staged."""

    def __init__(self, database: TenantDatabase, upload: Upload, job_id: UUID, file: FileOfSmbs) -> None:
        self._database = database
        self._upload = upload
        self._job_id = job_id
        self._file = file
        self._slice = Slice()
        self._staging: asyncio.Task[None] | None = None
        self._rows = 0
        self._refused = 0
        self._keys: set[str] = set()
        self._last_sign = monotonic()

    async def take(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._add(self._file.read(piece))
        if len(self._slice) >= SLICE_ROWS:
            await self._stage_slice()
        elif monotonic() - self._last_sign > SIGN_OF_LIFE_SECONDS:
            await self._give_sign_of_life()
        # A piece is some milliseconds of work: other requests come in between.
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Take the end of the file, and hand the rows over."""
        self._add(self._file.read(b"", is_last=True))
        await self._stage_slice()
        await self._staged()
        tenant_id, job_id = self._upload.tenant_id, self._job_id
        async with self._database.transaction() as transaction:
            if not await staging.come_on(transaction, tenant_id, job_id):
                raise UploadGivenUp
            columns = self._file.columns
            self._refused += await refuse_repeated(transaction, tenant_id, job_id, self._keys, columns)
            chunks = await chunks_of(transaction, tenant_id, job_id)
            await insert_chunks(transaction, tenant_id, job_id, chunks)
            request = {"columns": columns, "keys": sorted(self._keys)}
            counts = {"rows": self._rows, "refused": self._refused, "chunks": len(chunks)}
            await staging.begin_work(transaction, tenant_id, job_id, request, **counts)

    async def fail(self, error: BaseException) -> None:
        """Give the upload up."""
        if self._staging is not None:
            self._staging.cancel()
            with suppress(BaseException):
                await self._staging
        reason = str(error) if isinstance(error, FileRefused) else staging.BROKEN_OFF
        async with self._database.transaction() as transaction:
            await staging.fail(transaction, self._upload.tenant_id, self._job_id, reason)

    def _add(self, rows: CheckedRows) -> None:
        self._slice.add(rows)
        self._rows += len(rows.lines) + len(rows.refused)
        self._refused += len(rows.refused)
        if self._rows > self._upload.rows_max:
            raise TooManyRows(self._upload.rows_max)

    async def _stage_slice(self) -> None:
        await self._staged()
        full, self._slice = self._slice, Slice()
        self._keys |= full.keys
        self._staging = asyncio.create_task(self._stage(full))

    async def _staged(self) -> None:
        if self._staging is not None:
            staging_task, self._staging = self._staging, None
            await staging_task

    async def _stage(self, full: Slice) -> None:
        tenant_id, job_id = self._upload.tenant_id, self._job_id
        async with self._database.transaction() as transaction:
            if not await staging.come_on(transaction, tenant_id, job_id):
                raise UploadGivenUp
            if not full.is_empty:
                await staging.stage(transaction, tenant_id, job_id, full.columns, full.rows())
            await staging.refuse(transaction, tenant_id, job_id, full.refused)
        self._last_sign = monotonic()

    async def _give_sign_of_life(self) -> None:
        self._last_sign = monotonic()
        async with self._database.transaction() as transaction:
            if not await staging.come_on(transaction, self._upload.tenant_id, self._job_id):
                raise UploadGivenUp
