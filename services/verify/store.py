"""Every SQL statement of verify that is no service's own."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from shared.runtime.database import Database, Transaction
from shared.schemas.identity import SmbKey

CLOCK = text("SELECT clock_timestamp()")
COUNT = text("SELECT count(*) FROM smb_heads WHERE CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id")
NEXT_KEYS = text(
    """
    SELECT tenant_id, smb_id FROM smb_heads
    WHERE (tenant_id, smb_id) >= (:first_tenant_id, :first_smb_id)
        AND (tenant_id, smb_id) <= (:last_tenant_id, :last_smb_id)
    ORDER BY tenant_id, smb_id LIMIT :at_most
    """,
)
NOTE = text(
    """
    INSERT INTO verifications (started_at, finished_at, smbs_checked, mismatches, mismatches_by_kind)
    VALUES (:started_at, :finished_at, :smbs_checked, :mismatches, CAST(:mismatches_by_kind AS jsonb))
    """,
)


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Transaction]:
    """A transaction that sees one moment and changes nothing, whatever the workers do meanwhile."""
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield Transaction(connection)


async def clock(database: Database) -> datetime:
    """The database's time."""
    async with database.transaction() as transaction:
        now: datetime = (await transaction.execute(CLOCK)).scalar_one()
        return now


async def count(database: Database, tenant_id: UUID | None) -> int:
    """How many SMBs there are to check."""
    async with database.transaction() as transaction:
        smbs: int = (await transaction.execute(COUNT, {"tenant_id": tenant_id})).scalar_one()
        return smbs


async def next_keys(transaction: Transaction, first: SmbKey, last: SmbKey, at_most: int) -> Sequence[SmbKey]:
    """The SMBs that have a head from `first` to `last`, both included, in order."""
    parameters = {
        "first_tenant_id": first.tenant_id,
        "first_smb_id": first.smb_id,
        "last_tenant_id": last.tenant_id,
        "last_smb_id": last.smb_id,
        "at_most": at_most,
    }
    return [SmbKey(row.tenant_id, row.smb_id) for row in (await transaction.execute(NEXT_KEYS, parameters)).all()]


async def note(
    database: Database,
    *,
    started_at: datetime,
    finished_at: datetime,
    smbs_checked: int,
    mismatches_by_kind: Mapping[str, int],
) -> None:
    """Keep what a verification of everything has found."""
    async with database.transaction() as transaction:
        await transaction.execute(
            NOTE,
            {
                "started_at": started_at,
                "finished_at": finished_at,
                "smbs_checked": smbs_checked,
                "mismatches": sum(mismatches_by_kind.values()),
                "mismatches_by_kind": json.dumps(mismatches_by_kind),
            },
        )
