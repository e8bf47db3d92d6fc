"""Creating communities and SMBs in a real database."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.records.errors import ExternalIdTaken, IdErased, IdTaken, UnknownCommunity
from services.records.profiles import NewCommunity
from shared.runtime.batch import transact
from shared.schemas.announcements import SMBCreated
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk, approval, clicks, decoded, event_of

NOW = datetime.now(UTC)


async def test_a_created_smb_is_stored_whole_and_told(desk: RecordsDesk) -> None:
    community = NewCommunity(tenant_id=desk.tenant_id, name="Springfield", state="IL", timezone="America/Chicago")
    await desk.create_communities(community)
    request = desk.smb(
        external_id="crm-1001",
        primary_email="hello@alma.example",
        primary_phone="+1 212 555 0100",
        industry_category="Restaurants",
        business_description="Coffee and cake",
        business_context={"tone": "warm 😀", "secret": 1},
        community_id=community.id,
        service_model="self-service",
        services_activated=("Website",),
        sms_opted_in=True,
    )
    await desk.create(request)

    row = await desk.row(request.key)
    assert (row["engagement_tier"], row["engagement_score"], row["campaign_status"]) == (4, 0, "draft")
    assert row["data_quality_score"] == 85
    assert json.loads(row["business_context"]) == {"tone": "warm 😀", "secret": 1}
    assert row["created_at"] == row["updated_at"]

    (told,) = await desk.told(request.key)
    message = decoded(told)
    assert message.smb == request.key
    assert message.data == SMBCreated(
        smb_id=request.id,
        slug="cafe-alma",
        external_id="crm-1001",
        business_name="Café Alma",
        primary_email="hello@alma.example",
        primary_phone="+1 212 555 0100",
        industry_category="Restaurants",
        business_description="Coffee and cake",
        community_id=community.id,
        service_model="self-service",
        services_activated=("Website",),
        services_approved_pending=(),
        email_opted_in=True,
        sms_opted_in=True,
        rvm_opted_in=False,
        phone_opted_in=False,
        do_not_contact=False,
        created_at=row["created_at"],
    )
    assert "secret" not in told.value.decode()


async def test_what_came_before_the_smb_counts_at_once(desk: RecordsDesk) -> None:
    request = desk.smb(services_activated=("Website",))
    clicked, viewed, approved = (NOW - timedelta(days=days) for days in (2, 1, 3))
    await desk.apply([
        *clicks(request.key, 4, clicked),
        event_of("ContentViewed", request.key, viewed, content_id="c-1"),
        approval(request.key, "Listing", approved),
        event_of("EmailOpened", request.key, NOW - timedelta(days=31), message_id="old"),
    ])  # fmt: skip
    await desk.approve([approval(request.key, service) for service in ("Listing", "Website", "Chat")])
    await desk.approve([approval(request.key, "Listing"), approval(request.key, "Photos", decision="rejected")])
    assert await desk.told(request.key) == []

    await desk.create(request)

    row = await desk.row(request.key)
    # 12 of clicks, 2 of the view, 4.67 of the approval.
    assert row["engagement_score"] == 18
    assert (row["last_email_click"], row["last_content_view"], row["last_approval"]) == (clicked, viewed, approved)
    assert row["last_email_open"] == NOW - timedelta(days=31)
    assert json.loads(row["services_approved_pending"]) == ["Listing", "Chat"]
    ledger = await desk.fetch("SELECT DISTINCT outcome FROM campaign_inputs WHERE smb_id = $1", request.id)
    assert [one["outcome"] for one in ledger] == ["applied"]

    created, changed = [decoded(told) for told in await desk.told(request.key)]
    assert (created.type, changed.type) == ("SMBCreated", "SMBEngagementChanged")
    assert created.data.model_dump()["services_approved_pending"] == ("Listing", "Chat")
    assert (changed.data.model_dump()["old_score"], changed.data.model_dump()["new_score"]) == (0, 18)
    sequences = [dict(told.headers)["ce_sequence"] for told in await desk.told(request.key)]
    assert sequences == [b"1", b"2"]


async def test_little_before_the_smb_is_not_announced(desk: RecordsDesk) -> None:
    request = desk.smb()
    await desk.apply(clicks(request.key, 3))
    await desk.create(request)
    assert [decoded(told).type for told in await desk.told(request.key)] == ["SMBCreated"]
    assert (await desk.row(request.key))["engagement_score"] == 9


async def test_the_same_name_gets_numbered_slugs(desk: RecordsDesk) -> None:
    first = desk.smb()
    await desk.create(first)
    more = [desk.smb() for _ in range(100)] + [desk.smb(business_name="Café Alma 3")]
    await desk.create(*more)
    slugs = [(await desk.row(request.key))["slug"] for request in (first, *more[:3], more[-1])]
    assert slugs == ["cafe-alma", "cafe-alma-2", "cafe-alma-3", "cafe-alma-4", "cafe-alma-3-2"]


async def test_the_slug_of_a_deleted_smb_is_free_again(desk: RecordsDesk) -> None:
    first, second = desk.smb(), desk.smb()
    await desk.create(first)
    await desk.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", first.id)
    await desk.create(second)
    assert (await desk.row(second.key))["slug"] == "cafe-alma"


async def test_slugs_and_external_ids_are_unique_within_a_tenant_only(desk: RecordsDesk) -> None:
    other = RecordsDesk(desk.database, desk.url)
    mine, theirs = desk.smb(external_id="1"), other.smb(external_id="1")
    await desk.create(mine)
    await other.create(theirs)
    assert (await other.row(theirs.key))["slug"] == "cafe-alma"
    with pytest.raises(ExternalIdTaken) as refused:
        await desk.create(desk.smb(), desk.smb(external_id="1"))
    assert (refused.value.field, refused.value.position) == ("external_id", 1)


async def test_an_external_id_twice_in_one_call_is_refused(desk: RecordsDesk) -> None:
    with pytest.raises(ExternalIdTaken):
        await desk.create(desk.smb(external_id="2"), desk.smb(external_id="2"))


async def test_an_id_that_exists_is_refused_and_nothing_is_kept(desk: RecordsDesk) -> None:
    existing, another = desk.smb(), desk.smb(business_name="Another")
    await desk.create(existing)
    with pytest.raises(IdTaken) as refused:
        await desk.create(another, desk.smb(id=existing.id))
    assert (refused.value.field, refused.value.position) == ("id", 1)
    assert await desk.fetch("SELECT FROM smbs WHERE id = $1", another.id) == []
    assert await desk.told(another.key) == []


async def test_an_id_twice_in_one_call_is_refused(desk: RecordsDesk) -> None:
    one = desk.smb()
    with pytest.raises(IdTaken):
        await desk.create(one, one)


async def test_a_soft_deleted_smb_keeps_its_id(desk: RecordsDesk) -> None:
    existing = desk.smb()
    await desk.create(existing)
    await desk.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", existing.id)
    with pytest.raises(IdTaken):
        await desk.create(existing)


async def test_an_erased_smb_can_not_come_back(desk: RecordsDesk) -> None:
    request = desk.smb()
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *request.key)
    with pytest.raises(IdErased):
        await desk.create(request)


async def test_another_tenants_id_tells_nothing(desk: RecordsDesk) -> None:
    mine = desk.smb()
    await desk.apply(clicks(mine.key, 5))
    await desk.create(mine)
    other = RecordsDesk(desk.database, desk.url)
    theirs = other.smb(id=mine.id)
    await other.create(theirs)
    assert (await other.row(theirs.key))["engagement_score"] == 0
    assert (await desk.row(mine.key))["engagement_score"] == 15
    assert [decoded(told).type for told in await other.told(theirs.key)] == ["SMBCreated"]


async def test_another_tenants_community_is_unknown(desk: RecordsDesk) -> None:
    other = RecordsDesk(desk.database, desk.url)
    community = NewCommunity(tenant_id=other.tenant_id, name="Springfield", state="IL")
    await other.create_communities(community)
    with pytest.raises(UnknownCommunity) as refused:
        await desk.create(desk.smb(community_id=community.id))
    assert refused.value.field == "community_id"


async def test_communities_get_slugs_that_are_unique_in_the_tenant(desk: RecordsDesk) -> None:
    requests = [NewCommunity(tenant_id=desk.tenant_id, name="Springfield", state=state) for state in ("IL", "MA")]
    await desk.create_communities(*requests)
    rows = await desk.fetch("SELECT slug, state, timezone FROM communities WHERE tenant_id = $1", desk.tenant_id)
    assert sorted(tuple(row) for row in rows) == [("springfield", "IL", None), ("springfield-2", "MA", None)]
    with pytest.raises(IdTaken):
        await desk.create_communities(requests[0])


async def test_500_smbs_are_created_at_once(desk: RecordsDesk) -> None:
    requests = [desk.smb(business_name=f"Shop {number % 250}") for number in range(500)]
    await desk.apply([event for request in requests[:100] for event in clicks(request.key, 5)])
    outcome = await desk.create(*requests)
    assert len(outcome.announcements) == 600
    (row,) = await desk.fetch(
        "SELECT count(*) AS smbs, count(DISTINCT slug) AS slugs, sum(engagement_score) AS points FROM smb_overview"
        " WHERE tenant_id = $1",
        desk.tenant_id,
    )
    assert tuple(row) == (500, 500, 1500)


async def test_many_smbs_of_one_name_are_created_at_once(desk: RecordsDesk) -> None:
    await desk.create(*(desk.smb() for _ in range(2000)))
    rows = await desk.fetch("SELECT slug FROM smbs WHERE tenant_id = $1", desk.tenant_id)
    assert {row["slug"] for row in rows} == {"cafe-alma", *(f"cafe-alma-{number}" for number in range(2, 2001))}


async def test_nothing_to_create_is_nothing(desk: RecordsDesk) -> None:
    assert (await desk.create()).announcements == []
    await desk.create_communities()


async def test_an_smb_is_created_only_under_its_own_lock(desk: RecordsDesk) -> None:
    request, elsewhere = desk.smb(), SmbKey(uuid.uuid4(), uuid.uuid4())
    with pytest.raises(ValueError, match="head is locked"):
        await transact(
            desk.database,
            desk.topics,
            [elsewhere],
            lambda transaction, now: desk.records.create_smbs(transaction, [request], now),
        )
