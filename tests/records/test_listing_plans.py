"""What PostgreSQL does for a page of 20,000 SMBs, under the role of the API: it never reads the whole table."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from services.records import listing_store
from services.records.changes import CommunityKey
from services.records.community_store import COUNT, LIST
from services.records.cursors import Cursor
from services.records.filters import SmbFilter
from services.records.listing_store import SORTS, Part, Sort
from shared.runtime.database import Database
from tests.records.desk import RecordsDesk
from tests.records.population import populate

SMBS = 20_000
COMMUNITIES = 100


@pytest.fixture(scope="module")
async def crowd(database: Database, database_url: str, database_of_the_api: Database) -> tuple[RecordsDesk, uuid.UUID]:
    """A tenant with many SMBs, as the API sees it, beside another one; and one of its communities."""
    towns = []
    for size in (2000, SMBS):
        desk = RecordsDesk(database, database_url)
        towns = await populate(desk, size, COMMUNITIES)
    await desk.fetch("ANALYZE smbs, smb_heads, communities")
    return replace(desk, database=database_of_the_api.of(desk.tenant_id)), towns[0]


async def plan_of(desk: RecordsDesk, statement: str, parameters: dict[str, Any]) -> dict[str, Any]:
    async with desk.database.transaction() as transaction:
        await listing_store.plan_by_values(transaction)
        explained = await transaction.execute(text(f"EXPLAIN (FORMAT JSON) {statement}"), parameters)
        (plan,) = explained.scalars()
    whole: dict[str, Any] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return whole


async def page_plan(  # noqa: PLR0913  what page to explain
    desk: RecordsDesk, wanted: SmbFilter, sort: Sort, part: Part, *, descending: bool = False, after: object = None
) -> dict[str, Any]:
    statement = listing_store.page(
        listing_store.conditions(wanted), sort, part, descending=descending, goes_on=after is not None
    )
    values = listing_store.parameters(wanted) | {"tenant_id": desk.tenant_id, "at_most": 51}
    if after is not None:
        values["after_id"] = uuid.UUID(int=2**127)
        if part is not Part.WITHOUT_VALUE:
            values["after"] = after
    return await plan_of(desk, statement.text, values)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def reads_of(plan: dict[str, Any], table: str = "smbs") -> list[dict[str, Any]]:
    """How the SMBs are found: every reading of the table, and bitmaps of its indexes."""
    return [node for node in nodes(plan) if node.get("Relation Name") == table or "Bitmap Index" in node["Node Type"]]


def part_of(sort: Sort) -> Part:
    return Part.WITH_VALUE if sort is Sort.NEXT_SEND else Part.ALL


FILTERS: list[dict[str, Any]] = [
    {},
    {"engagement_tier": 1},
    {"campaign_status": "paused"},
    {"service_model": "managed"},
    {"community_id": "one"},
    {"contactable": "email"},
    {"contactable": "rvm"},
    {"q": "berta"},
]


@pytest.mark.parametrize("fields", FILTERS, ids=str)
async def test_every_filter_is_answered_by_an_index(
    crowd: tuple[RecordsDesk, uuid.UUID], fields: dict[str, Any]
) -> None:
    desk, town = crowd
    wanted = SmbFilter(**(fields | ({"community_id": town} if "community_id" in fields else {})))
    for sort in Sort:
        if sort is Sort.SCORE and set(fields) <= {"contactable", "q"}:
            continue  # all SMBs have to be looked at
        plan = await page_plan(desk, wanted, sort, part_of(sort))
        assert "Seq Scan" not in {node["Node Type"] for node in reads_of(plan)}, (sort, plan)


async def test_what_is_rare_is_found_by_the_index_of_its_filter(crowd: tuple[RecordsDesk, uuid.UUID]) -> None:
    desk, town = crowd
    rare = {"engagement_tier": 1, "campaign_status": "paused", "service_model": "managed", "community_id": town}
    for field, value in rare.items():
        plan = await page_plan(desk, SmbFilter.model_validate({field: value}), Sort.NAME, Part.ALL)
        assert any(field in node.get("Index Cond", "") for node in reads_of(plan)), (field, plan)


async def test_a_page_far_down_begins_where_the_last_one_ended(crowd: tuple[RecordsDesk, uuid.UUID]) -> None:
    desk, _ = crowd
    (middle,) = await desk.fetch(
        "SELECT * FROM smbs WHERE tenant_id = $1 AND campaign_status = 'running' LIMIT 1 OFFSET 1500",
        desk.tenant_id,
    )
    for sort in Sort:
        if sort is Sort.SCORE:
            continue
        column = SORTS[sort].expression.removeprefix("smb.")
        for descending in (False, True):
            plan = await page_plan(desk, SmbFilter(), sort, part_of(sort), descending=descending, after=middle[column])
            conditions = [node.get("Index Cond", "") for node in reads_of(plan)]
            assert any(f"ROW({column}, id)" in condition for condition in conditions), (sort, conditions)
    plan = await page_plan(desk, SmbFilter(), Sort.NEXT_SEND, Part.WITHOUT_VALUE, after="any")
    assert any("id >" in node.get("Index Cond", "") for node in reads_of(plan)), plan


async def test_communities_are_listed_and_counted_by_an_index(crowd: tuple[RecordsDesk, uuid.UUID]) -> None:
    desk, town = crowd
    after = Cursor("town 5", uuid.UUID(int=0))
    plan = await plan_of(
        desk, LIST.text, {"tenant_id": desk.tenant_id, "after": after.value, "after_id": after.id, "at_most": 51}
    )
    (read,) = reads_of(plan, "communities")
    assert "sort_name" in read.get("Index Cond", ""), plan
    key = CommunityKey(desk.tenant_id, town)
    plan = await plan_of(desk, COUNT.text, {"tenant_id": key.tenant_id, "id": key.community_id})
    assert any("community_id" in node.get("Index Cond", "") for node in reads_of(plan)), plan
