"""All SMBs, or those of one tenant, chunk by chunk in the order of their heads, one snapshot for each.

For whoever looks at everything beside the workers: no snapshot lives long, and nothing is changed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import text

from shared.runtime.database import Database, TenantDatabase, Transaction
from shared.runtime.errors import is_too_slow
from shared.runtime.heads import as_range
from shared.schemas.identity import SmbKey

LOWEST_ID, HIGHEST_ID = UUID(int=0), UUID(int=2**128 - 1)

COUNT = text("SELECT count(*) FROM smb_heads WHERE CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id")
NEXT_KEYS = text(
    """
    SELECT tenant_id, smb_id FROM smb_heads
    WHERE (tenant_id, smb_id) >= (:first_tenant_id, :first_smb_id)
        AND (tenant_id, smb_id) <= (:last_tenant_id, :last_smb_id)
    ORDER BY tenant_id, smb_id LIMIT :at_most
    """,
)

Result = TypeVar("Result")


class Chunk(NamedTuple):
    """A range of keys, both ends included, and the SMBs in it that have a head, in order.

    The next chunk begins where this one ends, so what has no head lies in a chunk too.
    """

    keys: Sequence[SmbKey]
    first: SmbKey
    last: SmbKey


async def each_chunk(
    database: Database | TenantDatabase,
    look: Callable[[Transaction, Chunk], Awaitable[Result]],
    *,
    smbs_most: int,
    tenant_id: UUID | None = None,
) -> AsyncIterator[tuple[Chunk, Result]]:
    """Give what `look` makes of each chunk of at most so many SMBs; of those of one tenant, if named.

    Where a chunk has so much history that the time does not suffice, it is made smaller and looked at again.
    """
    if isinstance(database, TenantDatabase):
        tenant_id = database.tenant_id
    first: SmbKey | None = SmbKey(tenant_id or LOWEST_ID, LOWEST_ID)
    last = SmbKey(tenant_id or HIGHEST_ID, HIGHEST_ID)
    while first is not None:
        chunk, found = await _next(database, look, first, last, smbs_most)
        yield chunk, found
        first = _following(chunk.last) if chunk.last < last else None


async def count(database: Database | TenantDatabase, tenant_id: UUID | None = None) -> int:
    """How many SMBs have a head."""
    async with database.transaction() as transaction:
        smbs: int = (await transaction.execute(COUNT, {"tenant_id": tenant_id})).scalar_one()
        return smbs


@asynccontextmanager
async def snapshot(database: Database | TenantDatabase) -> AsyncIterator[Transaction]:
    """A transaction that sees one moment and can't change anything, whatever the workers do meanwhile."""
    async with database.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield Transaction(connection)


async def _next(
    database: Database | TenantDatabase,
    look: Callable[[Transaction, Chunk], Awaitable[Result]],
    first: SmbKey,
    last: SmbKey,
    smbs_most: int,
) -> tuple[Chunk, Result]:
    """Look at the next SMBs from `first` on, and whatever lies between them; all up to `last` where they are few."""
    while True:
        try:
            async with snapshot(database) as transaction:
                keys = await _next_keys(transaction, first, last, smbs_most)
                chunk = Chunk(keys, first, last if len(keys) < smbs_most else keys[-1])
                found = await look(transaction, chunk)
        except Exception as error:
            if not is_too_slow(error) or smbs_most == 1:
                raise
            smbs_most = max(1, smbs_most // 10)
        else:
            return chunk, found


async def _next_keys(transaction: Transaction, first: SmbKey, last: SmbKey, at_most: int) -> Sequence[SmbKey]:
    rows = await transaction.execute(NEXT_KEYS, as_range(first, last) | {"at_most": at_most})
    return [SmbKey(row.tenant_id, row.smb_id) for row in rows.all()]


def _following(key: SmbKey) -> SmbKey:
    """The very next key; there is one after every key but the highest."""
    if key.smb_id == HIGHEST_ID:
        return SmbKey(UUID(int=key.tenant_id.int + 1), LOWEST_ID)
    return SmbKey(key.tenant_id, UUID(int=key.smb_id.int + 1))
