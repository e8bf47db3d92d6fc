"""Tiers in the database: what an announced score and the nightly evaluation do."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from services.tier.handler import TierHandler
from shared.schemas.announcements import SMBErased, SMBTierChanged
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.tier.desk import TierDesk, hint_of, trigger_of


async def test_an_announced_score_moves_the_tier_by_the_stored_score(desk: TierDesk) -> None:
    smb = await desk.add(score=61)
    outcome = await desk.hint(smb)
    (told,) = outcome.announcements
    assert told.data == SMBTierChanged(
        smb_id=smb.smb_id,
        old_tier=4,
        new_tier=2,
        old_tier_name="Passive",
        new_tier_name="Active",
        direction="upgrade",
        score=61,
        reason="engagement changed",
    )
    assert await desk.tier(smb) == 2
    assert await desk.history(smb) == [(4, 2, 61, "engagement changed")]


async def test_the_history_keeps_when_and_by_which_policy(desk: TierDesk) -> None:
    smb = await desk.add(score=45)
    await desk.hint(smb)
    (change,) = await desk.fetch(
        "SELECT change.changed_at, smb.tier_changed_at, smb.updated_at, change.policy_version"
        " FROM tier_changes AS change JOIN smbs AS smb ON smb.id = change.smb_id WHERE smb.id = $1",
        smb.smb_id,
    )
    assert change["changed_at"] == change["tier_changed_at"]
    assert change["updated_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert change["policy_version"] == Policy.default().version


async def test_the_announcement_names_its_cause(desk: TierDesk) -> None:
    smb = await desk.add(score=45)
    cause = hint_of(smb)._replace(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    (told,) = (await desk.apply([cause])).announcements
    assert (told.causation_id, told.traceparent) == (cause.id, cause.traceparent)


async def test_a_hint_that_comes_again_changes_nothing(desk: TierDesk) -> None:
    smb = await desk.add(score=85)
    hint = hint_of(smb)
    first = await desk.apply([hint])
    again = await desk.apply([hint])
    assert (first.applied, len(first.announcements)) == (1, 1)
    assert (again.applied, again.announcements) == (1, [])
    assert len(await desk.history(smb)) == 1


async def test_several_hints_for_one_smb_in_a_batch_are_one_change(desk: TierDesk) -> None:
    smb = await desk.add(score=85)
    hint = hint_of(smb)
    outcome = await desk.apply([hint, hint, hint_of(smb)])
    assert (outcome.applied, len(outcome.announcements)) == (3, 1)
    assert await desk.history(smb) == [(4, 1, 85, "engagement changed")]


async def test_other_announcements_need_nothing(desk: TierDesk) -> None:
    smb = await desk.add(score=85)
    outcome = await desk.apply([hint_of(smb, SMBErased(smb_id=smb.smb_id))])
    assert (outcome.applied, outcome.announcements) == (1, [])
    assert await desk.tier(smb) == 4


async def test_deleted_unknown_and_erased_smbs_have_no_changes(desk: TierDesk) -> None:
    deleted = await desk.add(score=85, deleted_at=datetime.now(UTC))
    unknown = SmbKey(uuid.uuid4(), uuid.uuid4())
    erased = SmbKey(uuid.uuid4(), uuid.uuid4())
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *erased)
    outcome = await desk.hint(deleted, unknown, erased)
    assert (outcome.applied, outcome.erased, outcome.announcements) == (2, 1, [])
    assert await desk.tier(deleted) == 4


async def test_another_tenants_smb_of_the_same_id_is_another_smb(desk: TierDesk) -> None:
    smb = await desk.add(score=85)
    other = SmbKey(uuid.uuid4(), smb.smb_id)
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, engagement_score) VALUES ($1, $2, 85)", *other)
    await desk.fetch(
        "INSERT INTO smbs (tenant_id, id, slug, business_name, created_at, updated_at)"
        " VALUES ($1, $2, 'other', 'Other', now(), now())",
        *other,
    )
    await desk.hint(other)
    assert (await desk.tier(other), await desk.tier(smb)) == (1, 4)


async def test_changes_make_a_chain_up_and_down(desk: TierDesk) -> None:
    smb = await desk.add(score=0)
    for score in (45, 90, 62, 62, 12):
        await desk.set_score(smb, score)
        await desk.hint(smb)
    changes = [(old, new) for old, new, _, _ in await desk.history(smb)]
    assert changes == [(4, 3), (3, 1), (1, 2), (2, 4)]


async def test_the_nightly_evaluation_finds_a_crossing_that_was_not_announced(desk: TierDesk) -> None:
    smb, lost = await desk.add(score=41), await desk.add(score=39, tier=3)
    await desk.evaluate_all()
    assert await desk.history(smb) == [(4, 3, 41, "nightly evaluation")]
    assert await desk.history(lost) == [(3, 4, 39, "nightly evaluation")]


async def test_the_nightly_evaluation_counts_what_it_saw_and_changed(desk: TierDesk) -> None:
    await desk.evaluate_all()
    await desk.add(score=10)
    await desk.add(score=90)
    await desk.add(score=90, deleted_at=datetime.now(UTC))
    trigger = trigger_of()
    for shard in (await desk.apply([trigger])).shards:
        assert (await desk.apply_shard(shard)).applied == 1
        assert (await desk.apply_shard(shard)).repeated == 1
    (run,) = await desk.fetch(
        "SELECT status, smbs_seen, smbs_changed FROM job_runs WHERE run_id = $1", trigger.event_key
    )
    (live,) = await desk.fetch("SELECT count(*) AS smbs FROM smbs WHERE deleted_at IS NULL")
    assert tuple(run) == ("finished", live["smbs"], 1)


async def test_a_trigger_that_comes_twice_starts_one_run(desk: TierDesk) -> None:
    trigger = trigger_of()
    first, again = await desk.apply([trigger]), await desk.apply([trigger])
    assert (first.applied, again.repeated) == (1, 1)
    assert first.shards
    assert not again.shards


async def test_an_evaluation_waits_while_its_days_recalculation_makes_progress(desk: TierDesk) -> None:
    three = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
    recalculation = await desk.begin_recalculation(three - timedelta(hours=1))
    trigger = trigger_of(three)
    outcome = await desk.apply([trigger])
    assert (outcome.applied, outcome.shards) == (1, [])
    assert (await desk.look()).shards == []
    assert await desk.status_of(trigger) == "waiting"

    await desk.finish_recalculation(recalculation)
    assert (await desk.look()).shards
    assert await desk.status_of(trigger) == "running"
    assert (await desk.look()).shards == []


async def test_an_evaluation_waits_for_no_other_days_recalculation(desk: TierDesk) -> None:
    just_before_midnight = datetime(2026, 5, 5, 23, 59, tzinfo=UTC)
    await desk.begin_recalculation(just_before_midnight)
    assert (await desk.apply([trigger_of(just_before_midnight + timedelta(minutes=1))])).shards


async def test_an_evaluation_does_not_wait_for_a_recalculation_that_stands_still(desk: TierDesk) -> None:
    three = datetime(2026, 5, 7, 3, 0, tzinfo=UTC)
    await desk.begin_recalculation(three, progressed_at=datetime.now(UTC) - timedelta(minutes=16))
    assert (await desk.apply([trigger_of(three)])).shards


async def test_two_workers_that_look_at_once_start_an_evaluation_once(desk: TierDesk) -> None:
    for day in range(1, 11):
        three = datetime(2026, 4, day, 3, 0, tzinfo=UTC)
        recalculation = await desk.begin_recalculation(three)
        trigger = trigger_of(three)
        await desk.apply([trigger])
        await desk.finish_recalculation(recalculation)
        looks = await asyncio.gather(desk.look(), desk.look())
        assert sorted(bool(outcome.shards) for outcome in looks) == [False, True]
        (stored,) = await desk.fetch("SELECT count(*) AS n FROM job_shards WHERE run_id = $1", trigger.event_key)
        assert stored["n"] == max(len(outcome.shards) for outcome in looks)


async def test_margin_and_dwell_of_the_policy_hold_downgrades_back(desk: TierDesk) -> None:
    changes = {"downgrade_margin_points": 5, "minimum_dwell_days": 7}
    strict = Policy.model_validate(Policy.default().model_dump() | {"tier_changes": changes})
    lenient_desk = TierDesk(desk.database, desk.url, TierHandler(strict, 2))
    now = datetime.now(UTC)
    within_margin = await desk.add(score=75, tier=1)
    below_margin = await desk.add(score=74, tier=1)
    too_young = await desk.add(score=10, tier=2, tier_changed_at=now - timedelta(days=6))
    old_enough = await desk.add(score=10, tier=2, tier_changed_at=now - timedelta(days=8))
    smbs = [within_margin, below_margin, too_young, old_enough]
    await lenient_desk.hint(*smbs)
    assert [await desk.tier(smb) for smb in smbs] == [1, 2, 2, 4]
