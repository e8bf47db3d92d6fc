"""The daily advance and changed circumstances in one transaction."""

from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from services.campaign.decisions import Becoming
from shared.schemas.triggers import AdvanceManifestDestinyDay
from tests.campaign.desk import NOW, CampaignDesk, command, input_of, moves

ONE_DAY = timedelta(days=1)
NEXT_SEND = datetime(2026, 6, 2, 9, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 3, 0, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def no_campaigns(desk: CampaignDesk) -> None:
    """Each test advances only what it began itself."""
    await desk.fetch("TRUNCATE campaigns, campaign_transitions, campaign_inputs, smbs, smb_heads, job_runs CASCADE")


async def test_a_new_day_is_stored_and_touched_but_not_told(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    outcome = await desk.advance(MIDNIGHT)
    assert (outcome.announcements, outcome.touched) == ([], {smb})
    assert await desk.standing(smb) == ("running", 2, NEXT_SEND + ONE_DAY)
    assert len(await desk.history(smb)) == 1

    again = await desk.advance(MIDNIGHT)
    assert (again.announcements, again.touched) == ([], set())
    assert await desk.standing(smb) == ("running", 2, NEXT_SEND + ONE_DAY)


async def test_a_late_trigger_makes_up_and_takes_nothing_back(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    await desk.advance(MIDNIGHT + 9 * ONE_DAY)
    stood = await desk.standing(smb)
    assert stood == ("running", 11, NEXT_SEND + 10 * ONE_DAY)
    await desk.advance(MIDNIGHT)
    assert await desk.standing(smb) == stood


async def test_a_scheduled_run_starts_when_its_time_comes(desk: CampaignDesk) -> None:
    smb, later = await desk.add(), await desk.add()
    await desk.apply(
        command("schedule", smb, start_date=date(2026, 6, 4)), command("schedule", later, start_date=date(2026, 6, 5))
    )
    assert await desk.standing(smb) == ("scheduled", None, None)
    early = await desk.advance(MIDNIGHT)
    assert moves(early) == []
    outcome = await desk.advance(MIDNIGHT + ONE_DAY)
    assert [(one.smb, one.causation_id is not None) for one in outcome.announcements] == [(smb, True)]
    assert moves(outcome) == [("scheduled", "running")]
    assert await desk.standing(smb) == ("running", 1, NEXT_SEND + 2 * ONE_DAY)
    assert len(await desk.runs(smb)) == 1


async def test_after_day_90_the_run_is_completed(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    await desk.advance(MIDNIGHT + 88 * ONE_DAY)
    assert await desk.standing(smb) == ("running", 90, NEXT_SEND + 89 * ONE_DAY)
    outcome = await desk.advance(MIDNIGHT + 89 * ONE_DAY)
    assert moves(outcome) == [("running", "completed")]
    assert await desk.standing(smb) == ("completed", 90, None)
    (run,) = await desk.runs(smb)
    assert run["ended_at"] == MIDNIGHT + 89 * ONE_DAY
    assert (await desk.advance(MIDNIGHT + 90 * ONE_DAY)).shards == []


async def test_each_day_has_one_send_moment_over_a_change_of_the_clocks(desk: CampaignDesk) -> None:
    smb = await desk.add(timezone="America/New_York")
    before = datetime(2026, 10, 30, 12, tzinfo=UTC)
    await desk.apply(command("start", smb, time=before), now=before)
    seen = []
    for number in range(4):
        await desk.advance(datetime(2026, 10, 30, 13, 1, tzinfo=UTC) + number * ONE_DAY)
        seen.append((await desk.standing(smb))[1:])
        assert await desk.differences(smb) == []
    assert seen == [
        (2, datetime(2026, 10, 31, 13, tzinfo=UTC)),
        (3, datetime(2026, 11, 1, 14, tzinfo=UTC)),
        (3, datetime(2026, 11, 1, 14, tzinfo=UTC)),
        (4, datetime(2026, 11, 2, 14, tzinfo=UTC)),
    ]


async def test_shards_hold_few_smbs_and_only_ranges_with_campaigns(desk: CampaignDesk) -> None:
    smbs = sorted([await desk.add() for _ in range(9)])
    await desk.apply(command("start", smbs[0]), command("start", smbs[4]), command("start", smbs[8]))
    outcome = await desk.apply(input_of(AdvanceManifestDestinyDay(scheduled_for=NOW), None))
    assert [(shard.first.key, shard.last.key) for shard in outcome.shards] == [
        (smbs[0], smbs[1]),
        (smbs[4], smbs[5]),
        (smbs[8], smbs[8]),
    ]
    first = await desk.apply_shard(outcome.shards[0], MIDNIGHT)
    again = await desk.apply_shard(outcome.shards[0], MIDNIGHT + ONE_DAY)
    assert (first.applied, first.repeated, again.applied, again.repeated) == (1, 0, 0, 1)
    assert (await desk.standing(smbs[0]))[1] == 2


async def test_a_repeated_trigger_begins_no_second_run(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    message = input_of(AdvanceManifestDestinyDay(scheduled_for=NOW), None)
    assert len((await desk.apply(message)).shards) == 1
    again = await desk.apply(message)
    assert (again.applied, again.repeated, again.shards) == (0, 1, [])


async def test_do_not_contact_pauses_what_runs_and_cancels_what_is_scheduled(desk: CampaignDesk) -> None:
    running, scheduled = await desk.add(), await desk.add()
    await desk.apply(command("start", running), command("schedule", scheduled, start_date=date(2026, 7, 1)))
    for smb, old, new in ((running, "running", "paused"), (scheduled, "scheduled", "cancelled")):
        with pytest.raises(asyncpg.CheckViolationError):
            await desk.fetch("UPDATE smbs SET do_not_contact = true WHERE id = $1", smb.smb_id)
        outcome = await desk.refresh(smb, Becoming(do_not_contact=True))
        assert moves(outcome) == [(old, new)]
        assert (await desk.history(smb))[-1][-1] == "do_not_contact"
        await desk.fetch("UPDATE smbs SET do_not_contact = true WHERE id = $1", smb.smb_id)
        assert (await desk.refresh(smb)).announcements == []


@pytest.mark.parametrize("names", [("start",), ("schedule",), ("start", "pause")])
async def test_a_deletion_cancels_any_open_campaign(desk: CampaignDesk, names: tuple[str, ...]) -> None:
    smb = await desk.add()
    await desk.apply(*[command(name, smb, start_date=date(2026, 7, 1)) for name in names])
    outcome = await desk.refresh(smb, Becoming(is_deleted=True))
    assert [new for _, new in moves(outcome)] == ["cancelled"]
    await desk.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", smb.smb_id)


async def test_a_changed_zone_moves_the_next_send_and_is_told(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    outcome = await desk.refresh(smb, Becoming(timezone="America/New_York"))
    assert moves(outcome) == [("running", "running")]
    assert await desk.standing(smb) == ("running", 1, datetime(2026, 6, 2, 13, tzinfo=UTC))


async def test_a_zone_that_changed_unnoticed_is_taken_over_by_the_next_advance(desk: CampaignDesk) -> None:
    smb = await desk.add(timezone="Europe/Berlin")
    await desk.apply(command("start", smb))
    assert (await desk.standing(smb))[2] == datetime(2026, 6, 2, 7, tzinfo=UTC)
    await desk.fetch("UPDATE communities SET timezone = 'Asia/Tokyo' WHERE tenant_id = $1", smb.tenant_id)
    outcome = await desk.advance(NOW)
    assert moves(outcome) == [("running", "running")]
    assert (await desk.history(smb))[-1] == ("change_timezone", "applied", "running", "running", "timezone_changed")
    assert await desk.standing(smb) == ("running", 1, datetime(2026, 6, 2, 0, tzinfo=UTC))


async def test_unknown_smbs_are_left_out(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.fetch("DELETE FROM smbs WHERE id = $1", smb.smb_id)
    assert (await desk.refresh(smb, Becoming(do_not_contact=True))).announcements == []


async def test_a_zone_that_the_data_has_lost_holds_up_no_other_campaign(desk: CampaignDesk) -> None:
    smbs = sorted([await desk.add() for _ in range(3)])
    await desk.apply(*(command("start", smb) for smb in smbs))
    lost = await desk.add_community(smbs[1].tenant_id, "Europe/Atlantis")
    await desk.fetch("UPDATE smbs SET community_id = $1 WHERE (tenant_id, id) = ($2, $3)", lost, *smbs[1])
    await desk.advance(MIDNIGHT)
    assert [(await desk.standing(smb))[1] for smb in smbs] == [2, 1, 2]
    assert await desk.fetch("SELECT FROM job_runs WHERE status <> 'finished'") == []
