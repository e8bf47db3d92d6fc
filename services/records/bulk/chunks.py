"""The SQL that finds the SMBs of a job, and cuts them into chunks."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from services.records.jobs import Chunk, OpenChunk
from services.records.listing_store import plan_by_values
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey

# So many are changed in one transaction: a fraction of a second.
CHUNK_SMBS = 1000

_LIVE = "smb.tenant_id = :tenant_id AND smb.deleted_at IS NULL"


@cache
def _ends(asked: tuple[str, ...]) -> TextClause:
    """The first and the last of each so many SMBs, and the very last one."""
    return text(
        f"""
        SELECT id, place FROM (
            SELECT smb.id, row_number() OVER (ORDER BY smb.id) - 1 AS place, count(*) OVER () AS smbs
            FROM smbs AS smb WHERE {" AND ".join((_LIVE, *asked))}
        ) AS numbered
        WHERE place % :size IN (0, CAST(:size AS bigint) - 1) OR place = smbs - 1 ORDER BY place
        """,  # noqa: S608  constants
    )


@cache
def _in_range(asked: tuple[str, ...]) -> TextClause:
    # Those that came later are not meant, and there may be very many of them.
    return text(
        f"""
        SELECT smb.id FROM smbs AS smb
        WHERE {" AND ".join((_LIVE, *asked))} AND smb.id >= :first_smb_id AND smb.id <= :last_smb_id
            AND smb.created_at <= :opened_at
        ORDER BY smb.id
        """,  # noqa: S608  constants
    )


@cache
def _of_these(asked: tuple[str, ...]) -> TextClause:
    return text(
        f"""
        SELECT smb.id FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
        JOIN smbs AS smb ON smb.id = wanted.id AND {" AND ".join((_LIVE, *asked))}
        ORDER BY smb.id
        """,  # noqa: S608  constants
    )


async def cut(
    transaction: Transaction, tenant_id: UUID, asked: tuple[str, ...], values: Mapping[str, Any]
) -> list[Chunk]:
    """Cut the live SMBs of whom this holds into ranges of ids."""
    await plan_by_values(transaction)
    parameters = {**values, "tenant_id": tenant_id, "size": CHUNK_SMBS}
    rows = (await transaction.execute(_ends(asked), parameters)).all()
    chunks: list[Chunk] = []
    for first, last in zip(rows[::2], rows[1::2], strict=False):
        chunks.append(Chunk(last.place - first.place + 1, first_smb_id=first.id, last_smb_id=last.id))
    if len(rows) % 2:  # the last range holds a single SMB
        chunks.append(Chunk(1, first_smb_id=rows[-1].id, last_smb_id=rows[-1].id))
    return chunks


def cut_ids(ids: Sequence[UUID]) -> list[Chunk]:
    """Cut ids, in their order, into chunks."""
    parts = [ids[start : start + CHUNK_SMBS] for start in range(0, len(ids), CHUNK_SMBS)]
    return [Chunk(len(part), smb_ids=list(part)) for part in parts]


async def find_smbs(
    transaction: Transaction, open_chunk: OpenChunk, asked: tuple[str, ...], values: Mapping[str, Any]
) -> list[SmbKey]:
    """Give the live SMBs of a chunk of whom this holds, in order."""
    tenant_id, chunk = open_chunk.tenant_id, open_chunk.chunk
    parameters: dict[str, Any] = {**values, "tenant_id": tenant_id}
    if chunk.smb_ids is not None:
        statement, parameters["ids"] = _of_these(asked), list(chunk.smb_ids)
    else:
        statement = _in_range(asked)
        parameters |= {"first_smb_id": chunk.first_smb_id, "last_smb_id": chunk.last_smb_id}
        parameters["opened_at"] = open_chunk.opened_at
    return [SmbKey(tenant_id, id_) for id_ in (await transaction.execute(statement, parameters)).scalars()]


async def still(
    transaction: Transaction, tenant_id: UUID, keys: Sequence[SmbKey], asked: tuple[str, ...], values: Mapping[str, Any]
) -> list[SmbKey]:
    """Give those of locked SMBs of whom this holds now, in order."""
    parameters = {**values, "tenant_id": tenant_id, "ids": [key.smb_id for key in keys]}
    return [SmbKey(tenant_id, id_) for id_ in (await transaction.execute(_of_these(asked), parameters)).scalars()]
