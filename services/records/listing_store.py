"""The SQL of lists of SMBs.

Each sort but one is the order of an index, which is read from where the page begins, or from the filter's own index
where that gives less to sort. The exception is the score: it changes with every event, so no index may stand on it, and
a page by score looks at all SMBs that the filters leave.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, text

from services.records.cursors import Cursor
from services.records.filters import SmbFilter
from services.records.reading import LISTED_COLUMNS, WITH_HEAD
from shared.runtime.database import Transaction


class Sort(StrEnum):
    """What a list of SMBs is sorted by; SMBs that are alike in it, by id."""

    NAME = "name"
    CREATED = "created"
    UPDATED = "updated"
    SCORE = "score"
    TIER = "tier"
    NEXT_SEND = "next_send"


class Column(NamedTuple):
    """A sort's column, its type in PostgreSQL and in Python."""

    expression: str
    sql_type: str
    kind: type


class Part(StrEnum):
    """Which SMBs: all, or those with or without a value to sort by."""

    ALL = "true"
    WITH_VALUE = "smb.next_scheduled_send IS NOT NULL"
    WITHOUT_VALUE = "smb.next_scheduled_send IS NULL"


SORTS = {
    Sort.NAME: Column("smb.sort_name", "text", str),
    Sort.CREATED: Column("smb.created_at", "timestamptz", datetime),
    Sort.UPDATED: Column("smb.updated_at", "timestamptz", datetime),
    Sort.SCORE: Column("head.engagement_score", "smallint", int),
    Sort.TIER: Column("smb.engagement_tier", "smallint", int),
    Sort.NEXT_SEND: Column("smb.next_scheduled_send", "timestamptz", datetime),
}

# What each filter asks of an SMB, by the name of its parameter.
CONDITIONS = {
    "engagement_tier": "smb.engagement_tier = :engagement_tier",
    "campaign_status": "smb.campaign_status = :campaign_status",
    "service_model": "smb.service_model = :service_model",
    "community_id": "smb.community_id = :community_id",
    "q": "strpos(smb.sort_name, lower(CAST(:q AS text))) > 0",
}
CONTACTABLE = {
    "email": "smb.email_opted_in AND NOT smb.do_not_contact AND smb.primary_email IS NOT NULL",
    "rvm": "smb.rvm_opted_in AND NOT smb.do_not_contact AND smb.primary_phone IS NOT NULL",
}

# How many SMBs a filter leaves depends much on its values, and with it the best way to read them: for once the planner
# is to look at the values. A plan takes it less than a millisecond.
PLAN_BY_VALUES = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")


def conditions(wanted: SmbFilter) -> tuple[str, ...]:
    """Give what the filter asks of `smbs AS smb`, beside that it is not deleted; `parameters` has the values."""
    asked = [CONDITIONS[name] for name in CONDITIONS if getattr(wanted, name) is not None]
    if wanted.contactable is not None:
        asked.append(CONTACTABLE[wanted.contactable])
    return tuple(asked)


def parameters(wanted: SmbFilter) -> dict[str, Any]:
    """Give the values that the conditions name."""
    return {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}


@cache
def page(asked: tuple[str, ...], sort: Sort, part: Part, *, descending: bool, goes_on: bool) -> TextClause:
    """Give the statement for one page: its SMBs are found first, and only these are read whole."""
    column = SORTS[sort]
    order = "DESC" if descending else "ASC"
    beyond = "<" if descending else ">"
    if part is Part.WITHOUT_VALUE:
        by = again = f"smb.id {order}"
        after = f"smb.id {beyond} :after_id"
    else:
        by = f"{column.expression} {order}, smb.id {order}"
        again = f"found.value {order}, smb.id {order}"
        after = f"({column.expression}, smb.id) {beyond} (CAST(:after AS {column.sql_type}), CAST(:after_id AS uuid))"
    asks = " AND ".join([*asked, part.value, *([after] if goes_on else [])])
    source = WITH_HEAD if sort is Sort.SCORE else "smbs AS smb"
    return text(
        f"""
        SELECT {LISTED_COLUMNS}, found.value
        FROM (
            SELECT smb.id, {column.expression} AS value
            FROM {source}
            WHERE smb.tenant_id = :tenant_id AND smb.deleted_at IS NULL AND {asks}
            ORDER BY {by} LIMIT :at_most
        ) AS found
        JOIN ({WITH_HEAD}) ON smb.tenant_id = :tenant_id AND smb.id = found.id
        ORDER BY {again}
        """,  # noqa: S608  constants of this module
    )


async def plan_by_values(transaction: Transaction) -> None:
    """Let the rest of this transaction be planned for the values that it asks for."""
    await transaction.execute(PLAN_BY_VALUES)


async def read_page(  # noqa: PLR0913  what of which list
    transaction: Transaction,
    tenant_id: UUID,
    wanted: SmbFilter,
    sort: Sort,
    part: Part,
    *,
    descending: bool,
    after: Cursor | None,
    at_most: int,
) -> Sequence[RowMapping]:
    """Read so many SMBs of one part of a list, beginning behind `after`."""
    statement = page(conditions(wanted), sort, part, descending=descending, goes_on=after is not None)
    values = parameters(wanted) | {"tenant_id": tenant_id, "at_most": at_most}
    if after is not None:
        values["after_id"] = after.id
        if part is not Part.WITHOUT_VALUE:
            values["after"] = after.value
    return (await transaction.execute(statement, values)).mappings().all()
