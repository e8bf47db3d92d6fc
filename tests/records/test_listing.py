"""Lists of SMBs and communities in a real database, under the role of the API."""

import itertools
import uuid
from collections import Counter
from typing import Any

import asyncpg
import pytest

from services.records.changes import CommunityKey
from services.records.community_store import CommunityRecord, CommunityStats, community_stats
from services.records.errors import InvalidField
from services.records.filters import EVERY_SMB, SmbFilter, smb_filter_from
from services.records.listing import BY_NAME, Order, list_communities, list_smbs
from services.records.listing_store import Sort
from services.records.reading import ListedSmb, SmbRecord, read_smb
from shared.runtime.pages import Page
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk
from tests.records.population import populate

ORDERS = [Order(sort, descending) for sort in Sort for descending in (False, True)]
SMBS = 150


@pytest.fixture
def desk(api_desk: RecordsDesk) -> RecordsDesk:
    """Everything here happens behind row-level security."""
    return api_desk


async def page_of(
    desk: RecordsDesk, size: int, wanted: SmbFilter = EVERY_SMB, order: Order = BY_NAME, cursor: str | None = None
) -> Page[ListedSmb, str]:
    async with desk.database.transaction() as transaction:
        return await list_smbs(transaction, desk.tenant_id, size, wanted, order, cursor=cursor)


async def everything(
    desk: RecordsDesk, wanted: SmbFilter = EVERY_SMB, order: Order = BY_NAME, size: int = 40
) -> list[ListedSmb]:
    """All SMBs of a list, page by page."""
    page = await page_of(desk, size, wanted, order)
    found = list(page.entries)
    while page.last is not None:
        page = await page_of(desk, size, wanted, order, page.last)
        found += page.entries
    return found


async def every_record(desk: RecordsDesk) -> list[SmbRecord]:
    """All SMBs that are not deleted, each read by itself."""
    rows = await desk.fetch("SELECT id FROM smbs WHERE tenant_id = $1", desk.tenant_id)
    async with desk.database.transaction() as transaction:
        read = [await read_smb(transaction, SmbKey(desk.tenant_id, row["id"])) for row in rows]
    return [smb for smb in read if smb is not None]


def place(smb: ListedSmb, order: Order) -> tuple[Any, ...]:
    """What decides the place in a list, to be sorted upwards."""
    value: Any = {
        Sort.NAME: smb.business_name.lower(),
        Sort.CREATED: smb.created_at,
        Sort.UPDATED: smb.updated_at,
        Sort.SCORE: smb.engagement_score,
        Sort.TIER: smb.engagement_tier,
        Sort.NEXT_SEND: smb.next_scheduled_send,
    }[order.sort]
    return (value is not None) if order.descending else (value is None), value or 0, smb.id.int


async def test_every_order_and_filter_gives_each_smb_once(desk: RecordsDesk) -> None:
    town, _ = await populate(desk, SMBS)
    stranger = RecordsDesk(desk.database, desk.url)
    assert await everything(stranger) == []
    records = await every_record(desk)
    assert 100 < len(records) < SMBS

    for order in ORDERS:
        # One by one, so that a page also ends where those without a next send begin.
        listed = await everything(desk, order=order, size=1 if order.sort is Sort.NEXT_SEND else 9)
        expected = sorted(records, key=lambda smb: place(smb, order), reverse=order.descending)
        assert [smb.id for smb in listed] == [smb.id for smb in expected], order
    first = next(one for one in records if one.id == listed[0].id)
    assert listed[0] == ListedSmb(**{name: getattr(first, name) for name in ListedSmb.__slots__})

    filters: list[tuple[dict[str, Any], Any]] = [
        ({"engagement_tier": 2}, lambda smb: smb.engagement_tier == 2),
        ({"campaign_status": "paused"}, lambda smb: smb.campaign_status == "paused"),
        ({"campaign_status": "running"}, lambda smb: smb.campaign_status == "running"),
        ({"service_model": "managed"}, lambda smb: smb.service_model == "managed"),
        ({"community_id": town}, lambda smb: smb.community_id == town),
        ({"community_id": uuid.uuid4()}, lambda _: False),
        ({"contactable": "email"}, lambda smb: smb.can_contact_via_email),
        ({"contactable": "rvm"}, lambda smb: smb.can_contact_via_rvm),
        ({"q": " BERTa "}, lambda smb: "berta" in smb.business_name.lower()),
        ({"q": "%"}, lambda smb: "%" in smb.business_name),
        ({"q": "a_"}, lambda smb: "a_" in smb.business_name),
        ({"q": "\\"}, lambda _: False),
        (
            {"engagement_tier": 1, "community_id": town, "contactable": "email", "q": "a"},
            lambda smb: smb.engagement_tier == 1 and smb.community_id == town and smb.can_contact_via_email,
        ),
    ]
    for fields, holds in filters:
        expected_ids = {smb.id for smb in records if holds(smb)}
        for order in (BY_NAME, Order(Sort.NEXT_SEND, descending=True), Order(Sort.SCORE)):
            found = Counter(smb.id for smb in await everything(desk, smb_filter_from(fields), order))
            assert found == dict.fromkeys(expected_ids, 1), fields


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_what_stays_is_on_exactly_one_page_while_others_come_move_and_go(desk: RecordsDesk, order: Order) -> None:
    await populate(desk, 48)
    listed = await everything(desk, order=order)
    stays, moves = listed[::2], [smb.id for smb in listed[1::2]]
    found: list[ListedSmb] = []
    cursor, turns = None, itertools.count()
    meanwhile = await asyncpg.connect(desk.url)
    while True:
        page = await page_of(desk, 7, order=order, cursor=cursor)
        found += page.entries
        cursor = page.last
        if cursor is None:
            break
        # Those that move jump over the cursor, in both directions, or vanish; others come at both ends.
        turn = next(turns)
        await meanwhile.execute(MOVE, desk.tenant_id, moves, turn)
        await meanwhile.execute(REVERSE_SCORES, moves)
        await meanwhile.execute(DELETE, moves[turn])
        await desk.create(desk.smb(business_name="Aaa"), desk.smb(business_name="zzz"))
    await meanwhile.close()
    staying = {smb.id for smb in stays}
    assert [smb.id for smb in found if smb.id in staying] == [smb.id for smb in stays]


MOVE = """
UPDATE smbs SET business_name = CASE WHEN $3 % 2 = 0 THEN 'zz ' ELSE 'aa ' END || id,
    created_at = created_at + (CASE WHEN $3 % 2 = 0 THEN 1 ELSE -1 END) * interval '1 year',
    updated_at = updated_at + (CASE WHEN $3 % 2 = 0 THEN 1 ELSE -1 END) * interval '1 year',
    next_scheduled_send = next_scheduled_send + (CASE WHEN $3 % 2 = 0 THEN 1 ELSE -1 END) * interval '1 year',
    engagement_tier = 5 - engagement_tier
WHERE tenant_id = $1 AND id = ANY($2)
"""
REVERSE_SCORES = "UPDATE smb_heads SET engagement_score = 100 - engagement_score WHERE smb_id = ANY($1)"
DELETE = "UPDATE smbs SET deleted_at = now() WHERE id = $1 AND current_campaign_id IS NULL"


async def test_a_cursor_of_another_list_is_refused(desk: RecordsDesk) -> None:
    await populate(desk, 20)
    page = await page_of(desk, 5)
    assert page.last is not None
    wrong: list[tuple[SmbFilter, Order]] = [
        (SmbFilter(engagement_tier=1), BY_NAME),
        (EVERY_SMB, Order(descending=True)),
        (EVERY_SMB, Order(Sort.CREATED)),
    ]
    for wanted, order in wrong:
        with pytest.raises(InvalidField) as refused:
            await page_of(desk, 5, wanted, order, page.last)
        assert refused.value.field == "cursor"
    stranger = RecordsDesk(desk.database, desk.url)
    with pytest.raises(InvalidField):
        await page_of(stranger, 5, cursor=page.last)
    for size in (0, 201):
        with pytest.raises(ValueError, match="1 to 200"):
            await page_of(desk, size)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engagement_tier", 5),
        ("campaign_status", "active"),
        ("contactable", "sms"),
        ("q", "a\0"),
        ("q", "a" * 201),
        ("community_id", "x"),
        ("name", "Alma"),
    ],
)
def test_a_wrong_filter_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        smb_filter_from({field: value})
    assert refused.value.field == field


async def test_communities_are_listed_by_name_and_counted(desk: RecordsDesk) -> None:
    town, _ = await populate(desk, SMBS)
    for name in ("alton", "Alton", "Zion", "alma"):
        await desk.add_community(name)
    found: list[CommunityRecord] = []
    cursor = None
    while True:
        async with desk.database.transaction() as transaction:
            page = await list_communities(transaction, desk.tenant_id, 4, cursor=cursor)
        found += page.entries
        if page.last is None:
            break
        cursor = page.last
    assert [one.name.lower() for one in found] == ["alma", "alton", "alton", "town 0", "town 1", "zion"]
    assert [one.id.int for one in found[1:3]] == sorted(one.id.int for one in found[1:3])

    inside = [smb for smb in await every_record(desk) if smb.community_id == town]
    statuses = ("draft", "scheduled", "running", "paused", "completed", "cancelled")
    async with desk.database.transaction() as transaction:
        assert await community_stats(transaction, CommunityKey(desk.tenant_id, town)) == CommunityStats(
            smbs=len(inside),
            active=sum(smb.is_in_campaign for smb in inside),
            by_tier={tier: sum(smb.engagement_tier == tier for smb in inside) for tier in (1, 2, 3, 4)},
            by_campaign_status={one: sum(smb.campaign_status == one for smb in inside) for one in statuses},
            mean_score=round(sum(smb.engagement_score for smb in inside) / len(inside), 2),
            contactable_by_email=sum(smb.can_contact_via_email for smb in inside),
            contactable_by_rvm=sum(smb.can_contact_via_rvm for smb in inside),
        )
        nothing = await community_stats(transaction, CommunityKey(uuid.uuid4(), town))
    assert (nothing.smbs, nothing.mean_score, nothing.by_tier) == (0, None, {1: 0, 2: 0, 3: 0, 4: 0})
