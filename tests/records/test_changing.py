"""Changing SMBs in a real database, under the role of the API."""

import asyncio
import json
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.records.changes import NewContext
from services.records.changing import ChangedSmbs
from services.records.errors import (
    ExternalIdTaken,
    Refused,
    RevisionMismatch,
    SlugTaken,
    SmbDeleted,
    UnknownCommunity,
    UnknownSmb,
)
from shared.runtime.batch import transact
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk, approval


@pytest.fixture
def desk(api_desk: RecordsDesk) -> RecordsDesk:
    """Everything here happens behind row-level security."""
    return api_desk


async def stored(desk: RecordsDesk, smb: SmbKey) -> dict[str, Any]:
    (row,) = await desk.fetch("SELECT * FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
    return dict(row)


async def test_a_change_is_stored_scored_and_told(desk: RecordsDesk) -> None:
    community = await desk.add_community()
    request = desk.smb(primary_email="old@alma.example", sms_opted_in=True)
    await desk.create(request)
    before = await stored(desk, request.key)

    changed = await desk.change(
        desk.changing(
            request.key,
            business_name="Alma",
            primary_email=None,
            primary_phone="+1 212 555 0100",
            business_description="Coffee, cake and a garden that is open all summer",
            community_id=community.id,
            sms_opted_in=False,
            slug="the-alma",
            expected_revision=1,
        )
    )

    after = await stored(desk, request.key)
    assert after["updated_at"] > before["updated_at"]
    differing = {name for name in after if after[name] != before[name]} - {"updated_at", "sort_name"}
    assert differing == {
        "business_name",
        "primary_email",
        "primary_phone",
        "business_description",
        "community_id",
        "sms_opted_in",
        "slug",
        "data_quality_score",
        "revision",
    }
    # Name 15, phone 15, description 15, community 10, an opt-in 10.
    assert (after["revision"], after["data_quality_score"]) == (2, 65)
    assert changed.profiles[request.key].revision == 2
    _, updated = await desk.story(request.key)
    assert updated == {
        "type": "SMBUpdated",
        "changes": {
            "slug": {"old": "cafe-alma", "new": "the-alma"},
            "business_name": {"old": "Café Alma", "new": "Alma"},
            "primary_email": {"old": "old@alma.example", "new": None},
            "primary_phone": {"old": None, "new": "+1 212 555 0100"},
            "business_description": {"old": None, "new": "Coffee, cake and a garden that is open all summer"},
            "community_id": {"old": None, "new": community.id},
            "sms_opted_in": {"old": True, "new": False},
        },
    }


async def test_nothing_is_told_where_nothing_changes(desk: RecordsDesk) -> None:
    request = desk.smb(external_id="1", services_activated=("Website",))
    await desk.create(request)
    before = await stored(desk, request.key)
    same = desk.changing(
        request.key, slug="cafe-alma", external_id="1", services_activated=("Website",), business_name=" Café Alma"
    )
    assert (await desk.change(same)).profiles == {}
    assert (await desk.change(desk.changing(request.key))).profiles == {}
    assert await desk.change() == await desk.change()
    assert await stored(desk, request.key) == before
    assert [one["type"] for one in await desk.story(request.key)] == ["SMBCreated"]


async def test_an_activated_service_is_no_longer_pending(desk: RecordsDesk) -> None:
    request = desk.smb(services_activated=("Website",))
    await desk.create(request)
    await desk.approve([approval(request.key, service) for service in ("Listing", "Chat")])
    await desk.change(desk.changing(request.key, services_activated=("Website", "Listing")))
    row = await stored(desk, request.key)
    assert json.loads(row["services_approved_pending"]) == ["Chat"]
    assert (await desk.story(request.key))[-1]["changes"] == {
        "services_activated": {"old": ("Website",), "new": ("Website", "Listing")},
        "services_approved_pending": {"old": ("Listing", "Chat"), "new": ("Chat",)},
    }


async def test_many_are_changed_at_once_and_campaigns_follow(desk: RecordsDesk) -> None:
    chicago = await desk.add_community("Chicago", timezone="America/Chicago")
    tokyo = await desk.add_community("Tokyo", timezone="Asia/Tokyo")
    running, scheduled, moved, left, plain = requests = [
        desk.smb(business_name=f"Shop {number}", community_id=chicago.id) for number in range(5)
    ]
    await desk.create(*requests)
    for request in (running, moved, left):
        await desk.command(request.key, "StartCampaign")
    await desk.command(scheduled.key, "ScheduleCampaign", start_date=_far_ahead())

    changed = await desk.change(
        desk.changing(running.key, do_not_contact=True, community_id=tokyo.id),
        desk.changing(scheduled.key, do_not_contact=True),
        desk.changing(moved.key, community_id=tokyo.id),
        desk.changing(left.key, community_id=None),
        desk.changing(plain.key, do_not_contact=True, community_id=tokyo.id),
    )

    assert len(changed.profiles) == 5
    stories = {request.id: (await desk.story(request.key))[1:] for request in requests}
    types = {id_: [one["type"] for one in story] for id_, story in stories.items()}
    assert types == {
        running.id: ["SMBCampaignChanged"] * 3 + ["SMBUpdated"],
        scheduled.id: ["SMBCampaignChanged"] * 2 + ["SMBUpdated"],
        moved.id: ["SMBCampaignChanged"] * 2 + ["SMBUpdated"],
        left.id: ["SMBCampaignChanged"] * 2 + ["SMBUpdated"],
        plain.id: ["SMBUpdated"],
    }
    paused, zone_moved = stories[running.id][1:3]
    assert (paused["new_status"], paused["reason"]) == ("paused", "do_not_contact")
    assert (zone_moved["new_status"], zone_moved["timezone"]) == ("paused", "Asia/Tokyo")
    assert (stories[scheduled.id][1]["new_status"], stories[scheduled.id][1]["reason"]) == (
        "cancelled",
        "do_not_contact",
    )
    assert (stories[moved.id][1]["timezone"], stories[moved.id][1]["reason"]) == ("Asia/Tokyo", "timezone_changed")
    assert stories[left.id][1]["timezone"] == "UTC"
    # 09:00 in Tokyo is midnight in UTC.
    assert (await stored(desk, moved.key))["next_scheduled_send"].hour == 0
    assert (await stored(desk, left.key))["next_scheduled_send"].hour == 9
    # Contact allowed again: the campaign stays paused until somebody resumes it.
    await desk.change(desk.changing(running.key, do_not_contact=False))
    assert (await stored(desk, running.key))["campaign_status"] == "paused"


async def test_what_can_not_be_is_refused_and_nothing_is_kept(desk: RecordsDesk) -> None:
    first, second, deleted = desk.smb(external_id="1"), desk.smb(external_id="2"), desk.smb(external_id="3")
    await desk.create(first, second, deleted)
    await desk.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", deleted.id)
    erased = desk.smb()
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *erased.key)
    cases: list[tuple[dict[str, Any], SmbKey, type[Refused], str]] = [
        ({"external_id": "1"}, second.key, ExternalIdTaken, "external_id"),
        ({"slug": "cafe-alma"}, second.key, SlugTaken, "slug"),
        ({"community_id": uuid.uuid4()}, second.key, UnknownCommunity, "community_id"),
        ({"expected_revision": 2}, second.key, RevisionMismatch, "expected_revision"),
        ({"business_name": "New"}, deleted.key, SmbDeleted, "id"),
        ({"business_name": "New"}, erased.key, UnknownSmb, "id"),
        ({"business_name": "New"}, desk.smb().key, UnknownSmb, "id"),
    ]
    for fields, smb, error, field in cases:
        with pytest.raises(error) as refused:
            await desk.change(desk.changing(first.key, business_name="New"), desk.changing(smb, **fields))
        assert (refused.value.field, refused.value.position) == (field, 1)
    assert (await stored(desk, first.key))["business_name"] == "Café Alma"
    assert len(await desk.told(first.key)) == 1
    # What a deleted SMB had is free.
    await desk.change(desk.changing(second.key, external_id="3", slug="cafe-alma-3"))
    assert (await stored(desk, second.key))["external_id"] == "3"


async def test_those_that_can_not_be_changed_may_be_left_out(desk: RecordsDesk) -> None:
    one, two, three = requests = [desk.smb(), desk.smb(), desk.smb()]
    await desk.create(*requests)
    changed = await desk.change(
        desk.changing(one.key, external_id="1", expected_revision=9),
        desk.changing(two.key, external_id="1", slug="two"),
        desk.changing(desk.smb().key, business_name="New"),
        desk.changing(three.key, external_id="1"),
        partly=True,
    )
    assert [(type(error), error.position) for error in changed.refused] == [
        (RevisionMismatch, 0),
        (UnknownSmb, 2),
        (ExternalIdTaken, 3),
    ]
    assert list(changed.profiles) == [two.key]
    assert (await stored(desk, two.key))["slug"] == "two"


async def test_names_are_not_passed_on_within_one_call(desk: RecordsDesk) -> None:
    one, two = desk.smb(external_id="1"), desk.smb(external_id="2")
    await desk.create(one, two)
    with pytest.raises(ExternalIdTaken):
        await desk.change(desk.changing(one.key, external_id="2"), desk.changing(two.key, external_id="1"))


async def test_two_changes_of_one_smb_in_one_call_are_a_mistake_of_ours(desk: RecordsDesk) -> None:
    request = desk.smb()
    await desk.create(request)
    with pytest.raises(ValueError, match="two changes"):
        await desk.change(desk.changing(request.key, slug="a"), desk.changing(request.key, slug="b"))


async def test_another_tenants_smb_is_unknown(desk: RecordsDesk) -> None:
    other = RecordsDesk(desk.database, desk.url)
    theirs = other.smb()
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", *theirs.key)
    with pytest.raises(UnknownSmb):
        await desk.change(desk.changing(SmbKey(desk.tenant_id, theirs.id), business_name="Mine"))


async def test_changes_that_race_for_a_name_are_refused_but_one(desk: RecordsDesk) -> None:
    requests = [desk.smb(business_name=f"Shop {number}") for number in range(8)]
    await desk.create(*requests)
    for name, error in (("slug", SlugTaken), ("external_id", ExternalIdTaken)):
        changes = [desk.changing(request.key, **{name: "wanted"}) for request in requests]
        results = await asyncio.gather(*map(desk.change, changes), return_exceptions=True)
        assert Counter(type(result) for result in results) == {ChangedSmbs: 1, error: 7}


async def test_changes_of_one_smb_that_race_are_told_one_after_another(desk: RecordsDesk) -> None:
    request = desk.smb(services_activated=())
    await desk.create(request)
    await asyncio.gather(
        *(desk.change(desk.changing(request.key, service_model=f"model {number}")) for number in range(6)),
        *(desk.approve([approval(request.key, f"service {number}")]) for number in range(3)),
        *(desk.change(desk.changing(request.key, services_activated=(f"service {number}",))) for number in range(3)),
    )
    row = await stored(desk, request.key)
    present = {"service_model": row["service_model"]} | {
        name: tuple(json.loads(row[name])) for name in ("services_activated", "services_approved_pending")
    }
    chains: dict[str, list[dict[str, Any]]] = {name: [] for name in present}
    story = await desk.story(request.key)
    for update in story[1:]:
        for name, change in update["changes"].items():
            chains[name].append(change)
    assert row["revision"] == len(story)
    for name, chain in chains.items():
        assert [change["old"] for change in chain[1:]] == [change["new"] for change in chain[:-1]]
        assert chain[-1]["new"] == present[name]


async def test_a_business_context_is_replaced_and_told_to_nobody(desk: RecordsDesk) -> None:
    request = desk.smb(business_context={"tone": "warm"})
    await desk.create(request)
    contexts: list[tuple[dict[str, Any], int]] = [
        ({"tone": "warm"}, 1),
        ({"tone": "cool 😀"}, 2),
        ({"tone": "cool 😀"}, 2),
        ({}, 3),
    ]
    for context, revision in contexts:
        new = NewContext(tenant_id=desk.tenant_id, id=request.id, business_context=context)
        await replace_context(desk, new)
        row = await stored(desk, request.key)
        assert (json.loads(row["business_context"]), row["revision"]) == (context, revision)
    with pytest.raises(RevisionMismatch):
        await replace_context(desk, new.model_copy(update={"expected_revision": 1}))
    with pytest.raises(UnknownSmb):
        await replace_context(desk, new.model_copy(update={"id": uuid.uuid4()}))
    assert len(await desk.told(request.key)) == 1


async def replace_context(desk: RecordsDesk, request: NewContext) -> None:
    await transact(
        desk.database,
        desk.topics,
        [request.key],
        lambda transaction, now: desk.records.replace_business_context(transaction, request, now),
    )


def _far_ahead() -> date:
    return datetime.now(UTC).date() + timedelta(days=30)
