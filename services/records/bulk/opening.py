"""Counting whom a bulk update concerns, and opening its job."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import TextClause, text

from services.records import store
from services.records.bulk import chunks
from services.records.bulk.requests import BulkChange, BulkUpdate
from services.records.errors import UnknownCommunity
from services.records.filters import SmbFilter
from services.records.job_store import open_job
from services.records.jobs import JobKind
from services.records.listing_store import conditions, parameters, plan_by_values
from services.records.profile_store import COLUMNS
from shared.runtime.database import Transaction


class BulkCount(NamedTuple):
    """Whom a bulk update concerns: SMBs that are asked for and there, and those of them that would change."""

    matched: int
    would_change: int


@cache
def _count(asked: tuple[str, ...], changed: tuple[str, ...]) -> TextClause:
    differs = " OR ".join(f"smb.{name} IS DISTINCT FROM CAST(:new_{name} AS {COLUMNS[name]})" for name in changed)
    return text(
        f"""
        SELECT count(*) AS matched, count(*) FILTER (WHERE {differs}) AS would_change FROM smbs AS smb
        WHERE {" AND ".join(("smb.tenant_id = :tenant_id", "smb.deleted_at IS NULL", *asked))}
        """,  # noqa: S608  constants
    )


async def count_bulk_update(transaction: Transaction, update: BulkUpdate) -> BulkCount:
    """Tell whom an update would concern, without changing anything. Raises UnknownCommunity."""
    await _require_community(transaction, update)
    asked: tuple[str, ...] = ("smb.id = ANY(CAST(:ids AS uuid[]))",)
    values: dict[str, Any] = {"ids": list(update.ids or ())}
    if update.wanted is not None:
        asked, values = conditions(update.wanted), parameters(update.wanted)
    await plan_by_values(transaction)
    new = {f"new_{name}": _as_stored(name, value) for name, value in update.changes.given.items()}
    statement = _count(asked, tuple(update.changes.given))
    row = (await transaction.execute(statement, {**values, **new, "tenant_id": update.tenant_id})).one()
    return BulkCount(row.matched, row.would_change)


async def open_bulk_update(transaction: Transaction, update: BulkUpdate, now: datetime) -> UUID:
    """Have the workers change these SMBs as soon as the transaction commits; gives the job. Raises UnknownCommunity."""
    await _require_community(transaction, update)
    request: dict[str, Any] = {"changes": update.changes.model_dump(mode="json", exclude_unset=True)}
    if update.wanted is None:
        cut = chunks.cut_ids(update.ids or ())
    else:
        request["filter"] = update.wanted.model_dump(mode="json", exclude_none=True)
        cut = await chunks.cut(transaction, update.tenant_id, conditions(update.wanted), parameters(update.wanted))
    return await open_job(transaction, update.tenant_id, JobKind.BULK_UPDATE, request, chunks=cut, now=now)


def changes_of(request: Mapping[str, Any]) -> BulkChange:
    """The changes that a job asks for."""
    return BulkChange.model_validate_json(to_json(request["changes"]))


def filter_of(request: Mapping[str, Any]) -> SmbFilter | None:
    """The filter by which a job goes; None when it has the ids."""
    return SmbFilter.model_validate_json(to_json(request["filter"])) if "filter" in request else None


async def _require_community(transaction: Transaction, update: BulkUpdate) -> None:
    community_id = update.changes.given.get("community_id")
    if community_id is not None:
        wanted = {(update.tenant_id, community_id)}
        if not await store.find_communities(transaction, wanted):
            raise UnknownCommunity(community_id, 0)


def _as_stored(name: str, value: object) -> object:
    return to_json(value).decode() if COLUMNS[name] == "jsonb" else value
