"""Soft deletion and restoration in a real database, under the role of the API."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from services.records.erasure import erase
from services.records.errors import ExternalIdTaken, RevisionMismatch, UnknownSmb
from shared.runtime.batch import transact
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk, approval, clicks

ROUNDS = 8


async def stored(desk: RecordsDesk, smb: SmbKey) -> dict[str, Any]:
    (row,) = await desk.fetch("SELECT * FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
    return dict(row)


async def test_an_smb_is_deleted_and_restored(desk: RecordsDesk, api_desk: RecordsDesk) -> None:
    request = desk.smb(external_id="1", services_activated=("Website",))
    await api_desk.create(request)
    await desk.command(request.key, "StartCampaign")
    await desk.approve([approval(request.key, "Listing")])

    await api_desk.delete(request.key, expected_revision=2)
    row = await stored(desk, request.key)
    assert (row["campaign_status"], row["revision"]) == ("cancelled", 3)
    assert row["deleted_at"] == row["updated_at"]
    cancelled, deleted = (await desk.story(request.key))[3:]
    assert (cancelled["new_status"], cancelled["reason"]) == ("cancelled", "deleted")
    assert deleted["changes"] == {"deleted_at": {"old": None, "new": row["deleted_at"]}}
    with pytest.raises(UnknownSmb):
        await api_desk.delete(request.key)

    # Silence, also about what comes for it; its names are free.
    await desk.apply([*clicks(request.key, 5), approval(request.key, "Chat")])
    await desk.approve([approval(request.key, service) for service in ("Chat", "Website", "Listing")])
    heir = desk.smb()
    await api_desk.create(heir)
    assert len(await desk.story(request.key)) == 5
    assert (await stored(desk, heir.key))["slug"] == "cafe-alma"

    await api_desk.restore(request.key)
    restored, scored = (await desk.story(request.key))[5:]
    assert restored["changes"] == {
        "slug": {"old": "cafe-alma", "new": "cafe-alma-2"},
        "services_approved_pending": {"old": ("Listing",), "new": ("Listing", "Chat")},
        "deleted_at": {"old": row["deleted_at"], "new": None},
    }
    assert (scored["type"], scored["old_score"], scored["new_score"]) == ("SMBEngagementChanged", 0, 20)
    row = await stored(desk, request.key)
    assert (row["deleted_at"], row["campaign_status"], row["revision"]) == (None, "cancelled", 4)
    assert json.loads(row["services_approved_pending"]) == ["Listing", "Chat"]

    assert (await api_desk.restore(request.key)).announcements == []
    assert await stored(desk, request.key) == row
    assert len(await desk.story(request.key)) == 7


async def test_a_restored_smb_keeps_its_slug_where_it_is_free(api_desk: RecordsDesk) -> None:
    request = api_desk.smb()
    await api_desk.create(request)
    await api_desk.change(api_desk.changing(request.key, slug="the-alma"))
    await api_desk.delete(request.key)
    await api_desk.restore(request.key)
    assert (await stored(api_desk, request.key))["slug"] == "the-alma"
    assert list((await api_desk.story(request.key))[-1]["changes"]) == ["deleted_at"]


async def test_what_can_not_be_deleted_or_restored_is_refused(api_desk: RecordsDesk) -> None:
    one, heir = api_desk.smb(external_id="1"), api_desk.smb(external_id="1")
    await api_desk.create(one)
    with pytest.raises(RevisionMismatch):
        await api_desk.delete(one.key, expected_revision=7)
    await api_desk.delete(one.key)
    with pytest.raises(RevisionMismatch):
        await api_desk.restore(one.key, expected_revision=1)
    await api_desk.create(heir)
    with pytest.raises(ExternalIdTaken):
        await api_desk.restore(one.key)
    assert (await stored(api_desk, one.key))["deleted_at"] is not None

    unknown = api_desk.smb()
    await transact(
        api_desk.database,
        api_desk.topics,
        [one.key],
        lambda transaction, now: erase(transaction, [one.key], now),
    )
    for smb in (unknown.key, one.key):
        for act in (api_desk.delete, api_desk.restore):
            with pytest.raises(UnknownSmb):
                await act(smb)


async def test_approvals_that_race_with_a_deletion_and_a_restoration_are_all_pending(desk: RecordsDesk) -> None:
    ends: Counter[int] = Counter()
    for number in range(ROUNDS):
        request = desk.smb(business_name=f"Shop {number}")
        await desk.create(request)
        # Every other time one is surely before the deletion.
        early = ("Listing",) if number % 2 else ()
        for service in early:
            await desk.approve([approval(request.key, service)])
        await asyncio.gather(
            desk.delete(request.key),
            *(
                desk.approve([approval(request.key, service)])
                for service in ("Listing", "Chat")
                if service not in early
            ),
            desk.apply(clicks(request.key, 4)),
        )
        waiting = await desk.fetch("SELECT FROM campaign_inputs WHERE smb_id = $1 AND outcome = 'waiting'", request.id)
        await asyncio.gather(
            *(desk.approve([approval(request.key, service)]) for service in ("Photos", "Maps")),
            desk.restore(request.key),
            desk.apply(clicks(request.key, 4)),
        )
        pending = json.loads((await stored(desk, request.key))["services_approved_pending"])
        assert sorted(pending) == ["Chat", "Listing", "Maps", "Photos"]
        story = await desk.story(request.key)
        lists = [one["changes"].get("services_approved_pending") for one in story if one["type"] == "SMBUpdated"]
        told = [one for one in lists if one]
        assert [list(one["new"]) for one in told][-1] == pending
        assert [one["old"] for one in told] == [()] + [one["new"] for one in told[:-1]]
        scores = [one["new_score"] for one in story if one["type"] == "SMBEngagementChanged"]
        assert scores
        assert scores[-1] == 24
        ends[len(waiting)] += 1
    # Approvals came before and after the deletion: otherwise this has tested nothing.
    assert len(ends) > 1
