"""Changing and deleting communities in a real database, under the role of the API."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import pytest

from services.records.changes import CommunityChange, CommunityKey, community_change_from
from services.records.communities import MembersChanged
from services.records.community_store import CommunityRecord, read_community
from services.records.errors import CommunityTooLarge, InvalidField, RevisionMismatch, SlugTaken, UnknownCommunity
from services.records.profiles import NewSmb
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk

ROUNDS = 12
T = TypeVar("T")


@pytest.fixture
def desk(api_desk: RecordsDesk) -> RecordsDesk:
    """Everything here happens behind row-level security."""
    return api_desk


async def stored(desk: RecordsDesk, smb: SmbKey) -> asyncpg.Record:
    (row,) = await desk.fetch("SELECT * FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
    return row


async def community_of(desk: RecordsDesk, id_: uuid.UUID) -> CommunityRecord | None:
    async with desk.database.transaction() as transaction:
        return await read_community(transaction, CommunityKey(desk.tenant_id, id_))


async def smbs_in(desk: RecordsDesk, community_id: uuid.UUID, count: int) -> list[NewSmb]:
    requests = [desk.smb(business_name=f"Shop {number}", community_id=community_id) for number in range(count)]
    await desk.create(*requests)
    return requests


async def add_smbs(desk: RecordsDesk, community_id: uuid.UUID, count: int) -> None:
    """Bare SMBs, quickly."""
    await desk.fetch(
        "INSERT INTO smb_heads (tenant_id, smb_id) SELECT $1, gen_random_uuid() FROM generate_series(1, $2)",
        desk.tenant_id,
        count,
    )
    await desk.fetch(
        "INSERT INTO smbs (tenant_id, id, community_id, slug, business_name, created_at, updated_at)"
        " SELECT tenant_id, smb_id, $2, 'smb-' || smb_id, 'A business', now(), now() FROM smb_heads"
        " WHERE tenant_id = $1",
        desk.tenant_id,
        community_id,
    )


async def later(desk: RecordsDesk, steps: int, act: Awaitable[T]) -> T:
    """Do something after so many looks into the database, to meet others at another point of theirs."""
    for _ in range(steps):
        await community_of(desk, uuid.uuid4())
    return await act


async def test_a_community_is_changed_as_far_as_it_is_asked(desk: RecordsDesk) -> None:
    community = await desk.add_community(county="Sangamon", settings={"open": 1})
    await desk.change_community(
        community.id, name="New Springfield", county=None, population=7, settings={"open": True}, expected_revision=1
    )
    changed = await community_of(desk, community.id)
    assert changed
    assert (changed.name, changed.slug, changed.state) == ("New Springfield", "springfield", "IL")
    assert (changed.county, changed.population, changed.revision) == (None, 7, 2)
    assert changed.settings["open"] is True
    assert changed.updated_at > changed.created_at

    await desk.change_community(community.id, name="New Springfield", settings={"open": True}, slug="springfield")
    assert await community_of(desk, community.id) == changed


async def test_what_can_not_be_is_refused(desk: RecordsDesk) -> None:
    community, other = await desk.add_community(), await desk.add_community("Shelbyville")
    with pytest.raises(SlugTaken):
        await desk.change_community(other.id, slug="springfield")
    with pytest.raises(RevisionMismatch):
        await desk.change_community(other.id, name="New", expected_revision=2)
    with pytest.raises(RevisionMismatch):
        await desk.delete_community(other.id, expected_revision=2)
    stranger = RecordsDesk(desk.database, desk.url)
    for act in (desk.change_community(uuid.uuid4(), name="New"), desk.delete_community(uuid.uuid4())):
        with pytest.raises(UnknownCommunity) as refused:
            await act
        assert refused.value.field == "id"
    for act in (stranger.change_community(other.id, timezone="Asia/Tokyo"), stranger.delete_community(other.id)):
        with pytest.raises(UnknownCommunity):
            await act
    wrong: dict[str, Any] = {"name": None, "state": "Illinois", "timezone": "Mars/Base", "slug": "-", "settings": None}
    for field, value in wrong.items():
        with pytest.raises(InvalidField) as invalid:
            community_change_from({"tenant_id": desk.tenant_id, "id": community.id, field: value})
        assert invalid.value.field == field


async def test_another_time_zone_moves_the_send_moments_of_open_campaigns(desk: RecordsDesk) -> None:
    community = await desk.add_community(timezone="America/Chicago")
    running, paused, scheduled, idle, deleted = requests = await smbs_in(desk, community.id, 5)
    for request in (running, paused, deleted):
        await desk.command(request.key, "StartCampaign")
    await desk.command(paused.key, "PauseCampaign")
    await desk.command(scheduled.key, "ScheduleCampaign", start_date=far_ahead())
    await desk.delete(deleted.key)
    told = {request.id: len(await desk.story(request.key)) for request in requests}

    await desk.change_community(community.id, timezone="Asia/Tokyo")

    assert (await stored(desk, running.key))["next_scheduled_send"].hour == 0
    for request in (running, paused, scheduled):
        (moved,) = (await desk.story(request.key))[told[request.id] :]
        assert (moved["timezone"], moved["reason"]) == ("Asia/Tokyo", "timezone_changed")
    for request in (idle, deleted):
        assert len(await desk.story(request.key)) == told[request.id]

    await desk.change_community(community.id, timezone=None)
    assert (await stored(desk, running.key))["next_scheduled_send"].hour == 9
    # UTC by name is what no zone means.
    before = await desk.story(running.key)
    await desk.change_community(community.id, timezone="UTC")
    assert await desk.story(running.key) == before


async def test_a_deleted_community_is_left_by_its_smbs(desk: RecordsDesk) -> None:
    community = await desk.add_community(timezone="Asia/Tokyo")
    running, idle, deleted = await smbs_in(desk, community.id, 3)
    await desk.command(running.key, "StartCampaign")
    await desk.delete(deleted.key)
    silent = await desk.story(deleted.key)

    await desk.delete_community(community.id, expected_revision=1)

    assert await community_of(desk, community.id) is None
    left = {"community_id": {"old": community.id, "new": None}}
    *_, moved, updated = await desk.story(running.key)
    assert (moved["timezone"], updated["changes"]) == ("UTC", left)
    assert (await desk.story(idle.key))[-1]["changes"] == left
    assert await desk.story(deleted.key) == silent
    for request, revision in ((running, 2), (idle, 2), (deleted, 3)):
        row = await stored(desk, request.key)
        # Name 15 and an opt-in 10: the community's 10 are gone.
        assert (row["community_id"], row["data_quality_score"], row["revision"]) == (None, 25, revision)
    with pytest.raises(UnknownCommunity):
        await desk.delete_community(community.id)
    # Its slug is free.
    await desk.add_community()


async def test_a_community_with_too_many_smbs_is_left_as_it_is(desk: RecordsDesk) -> None:
    community, small = await desk.add_community(), await desk.add_community()
    await add_smbs(desk, community.id, 1001)
    before = await community_of(desk, community.id)
    with pytest.raises(CommunityTooLarge):
        await desk.delete_community(community.id)
    assert await community_of(desk, community.id) == before
    # Everything else about it may change.
    await desk.change_community(community.id, name="Capital City")
    (one,) = await desk.fetch("SELECT id FROM smbs WHERE community_id = $1 LIMIT 1", community.id)
    await desk.change(desk.changing(SmbKey(desk.tenant_id, one["id"]), community_id=small.id))
    await desk.delete_community(community.id)
    rows = await desk.fetch("SELECT count(*) FROM smbs WHERE tenant_id = $1 AND community_id IS NULL", desk.tenant_id)
    assert rows[0][0] == 1000


async def test_members_that_are_not_held_are_never_changed(desk: RecordsDesk) -> None:
    community = await desk.add_community(timezone="America/Chicago")
    held, other = await smbs_in(desk, community.id, 2)
    change = CommunityChange(tenant_id=desk.tenant_id, id=community.id, timezone="Asia/Tokyo")
    key = CommunityKey(desk.tenant_id, community.id)
    acts: list[Callable[[Transaction, datetime], Awaitable[Outcome]]] = [
        lambda transaction, now: desk.records.change_community(transaction, change, now),
        lambda transaction, now: desk.records.delete_community(transaction, key, now),
    ]
    for act in acts:
        with pytest.raises(MembersChanged):
            await transact(desk.database, desk.topics, [held.key], act)
        await transact(desk.database, desk.topics, [held.key, other.key], act)
    assert (await stored(desk, other.key))["community_id"] is None


async def test_smbs_that_join_while_the_zone_changes_send_at_the_new_one(desk: RecordsDesk) -> None:
    outsiders = [desk.smb(business_name=f"Shop {number}") for number in range(ROUNDS)]
    await desk.create(*outsiders)
    for number, outsider in enumerate(outsiders):
        community = await desk.add_community(f"Town {number}", timezone="America/Chicago")
        insiders = await smbs_in(desk, community.id, 2)
        await desk.command(outsider.key, "StartCampaign")
        await asyncio.gather(
            desk.change(desk.changing(outsider.key, community_id=community.id)),
            desk.command(insiders[0].key, "StartCampaign"),
            desk.change_community(community.id, timezone="Asia/Tokyo"),
            desk.delete(insiders[1].key),
        )
        for request in (outsider, insiders[0]):
            row = await stored(desk, request.key)
            assert (row["campaign_status"], row["next_scheduled_send"].hour) == ("running", 0)
            assert (await desk.story(request.key))[-1].get("timezone", "Asia/Tokyo") == "Asia/Tokyo"


async def test_smbs_that_join_while_the_community_goes_tell_that_they_left_or_never_joined(desk: RecordsDesk) -> None:
    outsiders = [desk.smb(business_name=f"Shop {number}") for number in range(ROUNDS)]
    await desk.create(*outsiders)
    ends = set()
    for number, outsider in enumerate(outsiders):
        community = await desk.add_community(f"Town {number}")
        await smbs_in(desk, community.id, 2)
        newcomer = desk.smb(business_name="Newcomer", community_id=community.id)
        results = await asyncio.gather(
            later(desk, number, desk.change(desk.changing(outsider.key, community_id=community.id))),
            later(desk, number, desk.create(newcomer)),
            desk.delete_community(community.id),
            return_exceptions=True,
        )
        errors = [error for error in results if isinstance(error, BaseException)]
        assert all(isinstance(error, UnknownCommunity) for error in errors), errors
        assert not isinstance(results[2], BaseException)
        story = await desk.story(outsider.key)
        changes = [one["changes"]["community_id"]["new"] for one in story[1:]]
        assert changes == ([] if isinstance(results[0], BaseException) else [community.id, None])
        assert (await stored(desk, outsider.key))["community_id"] is None
        ends.add(len(changes))
    # Both happened: otherwise this has tested nothing.
    assert ends == {0, 2}


async def test_changes_of_many_kinds_that_meet_do_not_deadlock(desk: RecordsDesk) -> None:
    communities = [await desk.add_community(f"Town {number}", timezone="America/Chicago") for number in range(3)]
    smbs = [request for community in communities for request in await smbs_in(desk, community.id, 4)]
    zones = ["Asia/Tokyo", "Europe/Paris", "America/New_York"]
    for number in range(4):
        await asyncio.gather(
            *(desk.change_community(one.id, timezone=zones[number % 3], slug=f"town-{number}-{place}")
              for place, one in enumerate(communities)),
            *(desk.change(*(desk.changing(one.key, community_id=communities[(number + place) % 3].id,
                                          external_id=f"{number}-{place}") for one in smbs[place:: 4]), partly=True)
              for place in range(3)),
            desk.create(desk.smb(business_name="Town", community_id=communities[0].id)),
            desk.add_community("Town"),
        )  # fmt: skip
    rows = await desk.fetch("SELECT slug FROM communities WHERE tenant_id = $1 ORDER BY slug", desk.tenant_id)
    assert {f"town-3-{place}" for place in range(3)} <= {row["slug"] for row in rows}


def far_ahead() -> date:
    return datetime.now(UTC).date() + timedelta(days=30)
