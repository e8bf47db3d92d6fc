"""Jobs over many SMBs of one tenant, as they can be watched: imports, bulk updates, moved time zones."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import RowMapping

from services.records.errors import Refused

# Finished and failed jobs can be looked at for so long, with the rows that an import refused.
KEPT = timedelta(days=30)
# An upload that has not come on for so long has broken off.
UPLOAD_STALE = timedelta(minutes=2)


class JobKind(StrEnum):
    """What a job does."""

    IMPORT = "import"
    BULK_UPDATE = "bulk_update"
    ZONE_CHANGE = "zone_change"


class JobStatus(StrEnum):
    """How far a job is: an import begins as an upload, everything else waits for a worker at once."""

    UPLOADING = "uploading"
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class ImportRunning(Refused):
    """The tenant's last import has not ended yet."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__("import", f"{job_id} has not ended yet; one import runs at a time")
        self.job_id = job_id


@dataclass(frozen=True, slots=True)
class RecordJob:
    """A job as it is now. Rows are lines of a file or SMBs; each that is done counts as one of the four."""

    tenant_id: UUID
    id: UUID
    kind: JobKind
    status: JobStatus
    dry_run: bool
    request: dict[str, Any]
    rows_total: int
    rows_done: int
    created: int
    updated: int
    unchanged: int
    refused: int
    failure: str | None
    opened_at: datetime
    progressed_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """Make one of a row of `record_jobs`."""
        values = {field.name: row[field.name] for field in fields(cls)}
        return cls(**values | {"kind": JobKind(row["kind"]), "status": JobStatus(row["status"])})


class DoneBefore(Exception):
    """Somebody else has done a chunk meanwhile; nothing of it is to be kept a second time."""


class Counts(NamedTuple):
    """What became of some rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a job that is done in one transaction. `rows` is how many there were when the job was opened.

    Which ends are given depends on the job: staged rows from (bucket, line) to (bucket, line), SMBs from id to id, or
    the ids of SMBs.
    """

    rows: int
    first_bucket: int | None = None
    first_line: int | None = None
    last_bucket: int | None = None
    last_line: int | None = None
    first_smb_id: UUID | None = None
    last_smb_id: UUID | None = None
    smb_ids: Sequence[UUID] | None = None


@dataclass(frozen=True, slots=True)
class OpenChunk:
    """A chunk that waits for a worker, with what its job asks for."""

    tenant_id: UUID
    job_id: UUID
    number: int
    kind: JobKind
    dry_run: bool
    request: dict[str, Any]
    opened_at: datetime
    chunk: Chunk
