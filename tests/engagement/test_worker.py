"""The engagement worker as a process: events in, scores and announcements out."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shared.schemas.identity import SmbKey
from tests.installation import Installation, event, eventually, trigger

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
async def running(installation: Installation) -> Installation:
    installation.start("engagement")
    return installation


async def score_of(installation: Installation, smb: SmbKey) -> int:
    score: int = await installation.value("SELECT engagement_score FROM smb_heads WHERE smb_id = $1", smb.smb_id)
    return score


async def test_an_event_moves_score_and_last_moment(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    opened, clicked = NOW - timedelta(days=3), NOW - timedelta(days=2)
    await running.publish([
        event("EmailOpened", smb, time=opened, message_id="m-1"),
        event("EmailClicked", smb, time=clicked, message_id="m-1", url="https://example.test/a"),
    ])  # fmt: skip
    await running.idle()
    (row,) = await running.fetch("SELECT * FROM smb_overview WHERE id = $1", smb.smb_id)
    assert row["engagement_score"] == 4
    assert row["engagement_scored_on"] == datetime.now(UTC).date()
    assert (row["last_email_open"], row["last_email_click"]) == (opened, clicked)
    assert row["last_content_view"] is None


async def test_a_repeated_event_changes_nothing_whatever_its_type_or_body(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    first = event("EmailOpened", smb, id_="same", message_id="m-1")
    await running.publish([first])
    await running.idle()
    await running.publish([
        first,
        event("EmailOpened", smb, id_="same", message_id="another"),
        event("CallbackReceived", smb, id_="same", call_id="c-1"),
    ])  # fmt: skip
    await running.idle()
    assert await score_of(running, smb) == 1
    copies = await running.fetch("SELECT differs FROM repeated_inputs WHERE smb_id = $1", smb.smb_id)
    assert sorted(row["differs"] for row in copies) == [False, True, True]


async def test_the_same_id_from_another_source_or_for_another_smb_is_another_event(running: Installation) -> None:
    one, other = await running.add_smbs(2)
    await running.publish([
        event("EmailOpened", one, id_="same", message_id="m"),
        event("EmailOpened", one, id_="same", source="/modules/other", message_id="m"),
        event("EmailOpened", other, id_="same", message_id="m"),
    ])  # fmt: skip
    await running.idle()
    assert (await score_of(running, one), await score_of(running, other)) == (2, 1)


async def test_late_and_disordered_events_count_by_their_own_time_and_never_move_last_back(
    running: Installation,
) -> None:
    (smb,) = await running.add_smbs(1)
    newest = NOW - timedelta(hours=1)
    await running.publish([
        event("ContentViewed", smb, time=newest, content_id="c"),
        event("ContentCompleted", smb, time=NOW - timedelta(days=40), content_id="c"),
        event("ContentViewed", smb, time=NOW - timedelta(days=5), content_id="c"),
    ])  # fmt: skip
    await running.idle()
    assert await score_of(running, smb) == 4
    assert await running.value("SELECT last_content_view FROM smb_heads WHERE smb_id = $1", smb.smb_id) == newest


async def test_an_event_for_an_unknown_smb_is_kept_and_a_tenant_s_events_never_count_elsewhere(
    running: Installation,
) -> None:
    (smb,) = await running.add_smbs(1)
    forged = SmbKey(uuid.uuid4(), smb.smb_id)
    await running.publish([event("CallbackReceived", forged, call_id="c") for _ in range(5)])
    await running.idle()
    assert await score_of(running, smb) == 0
    rows = await running.fetch(
        "SELECT tenant_id, count(*) FROM engagement_events WHERE smb_id = $1 GROUP BY 1", smb.smb_id
    )
    assert [tuple(row) for row in rows] == [(forged.tenant_id, 5)]
    assert await running.announcements(forged) == []


async def test_approvals_content_views_and_campaign_sends_of_an_smb_are_kept(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await running.publish([
        event("ApprovalSubmitted", smb, approval_id="a-1", service="Web", decision="rejected"),
        event("ApprovalSubmitted", smb, approval_id="a-2", service="Web"),
        event("ContentViewed", smb, content_id="c-1", seconds_viewed=12.5, campaign_id="spring"),
        event("ContentCompleted", smb, content_id="c-1", seconds_viewed=90),
        event("ContentViewed", smb, content_id="c-2"),
        *(event("EmailOpened", smb, message_id="m-1", campaign_id="spring") for _ in range(2)),
        event("EmailClicked", smb, message_id="m-1", campaign_id="spring", url="https://example.test/a"),
        event("EmailOpened", smb, message_id="m-1", campaign_id="summer"),
        event("RVMDelivered", smb, drop_id="d-1", campaign_id="spring", duration_seconds=30),
        event("EmailOpened", smb, message_id="m-2"),
    ])  # fmt: skip
    await running.idle()

    async def kept(columns: str, kinds: str) -> list[tuple[object, ...]]:
        statement = (
            f"SELECT DISTINCT {columns} FROM engagement_events WHERE smb_id = $1 AND kind::text ~ $2 ORDER BY 1, 2"
        )
        return [tuple(row) for row in await running.fetch(statement, smb.smb_id, kinds)]

    assert await kept("reference, service, kind::text", "^approval_") == [
        ("a-1", "Web", "approval_rejected"),
        ("a-2", "Web", "approval_approved"),
    ]
    assert await kept("reference, seconds, kind::text", "^content_") == [
        ("c-1", 12.5, "content_viewed"),
        ("c-1", 90, "content_completed"),
        ("c-2", None, "content_viewed"),
    ]
    sends = await kept("campaign_reference, reference", "^(email|rvm)_")
    assert sends == [("spring", "d-1"), ("spring", "m-1"), ("summer", "m-1"), (None, "m-2")]


async def test_a_slow_climb_is_announced(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    steps = [event("CallbackReceived", smb, call_id="c") for _ in range(6)]
    steps += [event("ApprovalSubmitted", smb, approval_id="a", service="s") for _ in range(4)]
    for step in steps:
        await running.publish([step])
        await running.idle()
    assert await score_of(running, smb) == 50
    told = [one["data"] for one in await running.announcements(smb)]
    assert [(one["old_score"], one["new_score"]) for one in told] == [(0, 15), (15, 30), (30, 45)]
    assert [one["delta"] for one in told] == [15, 15, 15]


async def test_an_announcement_says_what_led_to_it(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    ids = [f"click-{number}" for number in range(4)]
    await running.publish([event("EmailClicked", smb, id_=one, message_id="m", url="https://x.test") for one in ids])
    await running.idle()
    told = await running.announcements(smb)
    assert told[-1]["type"] == "SMBEngagementChanged"
    assert told[-1]["causationid"] in ids
    assert told[-1]["source"] == "/modules/smb-crm"
    assert (told[0]["epoch"], told[0]["sequence"]) == ("1", "1")
    assert told[-1]["data"]["groups"] == {"reach": 0.0, "response": 12.0, "content": 0.0, "approval": 0.0}
    assert told[-1]["data"]["as_of"] == datetime.now(UTC).date().isoformat()


async def test_the_nightly_recalculation_lets_old_points_go_and_announces_it(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await running.publish([event("EmailClicked", smb, message_id="m", url="https://x.test") for _ in range(5)])
    await running.idle()
    # Yesterday's world: the events grow old, as they do when days pass.
    await running.fetch(
        "UPDATE engagement_events SET occurred_at = occurred_at - interval '31 days' WHERE smb_id = $1", smb.smb_id
    )
    await running.fetch(
        "UPDATE smb_heads SET engagement_scored_on = engagement_scored_on - 1 WHERE smb_id = $1", smb.smb_id
    )
    night = trigger("RecalculateEngagementScores", id_="recalculate-29384120")
    await running.publish([night, night])
    await running.idle()
    assert await score_of(running, smb) == 0
    assert [one["data"]["new_score"] for one in await running.announcements(smb)] == [15, 0]
    runs = await running.fetch(
        "SELECT status, shards_done, shards_total FROM job_runs WHERE trigger_id = $1", "recalculate-29384120"
    )
    assert [tuple(run) for run in runs] == [("finished", 1, 1)]
    stale = await running.value(
        "SELECT count(*) FROM smb_overview WHERE engagement_scored_on IS DISTINCT FROM $1", datetime.now(UTC).date()
    )
    assert stale == 0


async def test_a_recalculation_is_shared_by_shards(running: Installation) -> None:
    await running.add_smbs(25)
    worker = running.start("engagement", SMB_SHARD_MAX_SMBS="4")
    running.workers[0].terminate()
    await running.publish([trigger("RecalculateEngagementScores", id_="in-shards")])
    await running.idle()
    (run,) = await running.fetch(
        "SELECT shards_done, shards_total, smbs_seen FROM job_runs WHERE trigger_id = 'in-shards'"
    )
    smbs = await running.value("SELECT count(*) FROM smbs")
    assert run["shards_done"] == run["shards_total"] == -(-smbs // 4)
    assert run["smbs_seen"] >= smbs  # heads of SMBs that are not known yet are scored too
    assert worker.terminate() == 0


async def test_a_soft_deleted_smb_gets_no_announcement_but_its_events_are_kept(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await running.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", smb.smb_id)
    running.start("engagement")
    await running.publish([event("CallbackReceived", smb, call_id="c") for _ in range(4)])
    await running.idle()
    assert await running.announcements(smb) == []
    assert await running.value("SELECT count(*) FROM engagement_events WHERE smb_id = $1", smb.smb_id) == 4


async def test_a_worker_says_that_it_is_alive_ready_and_how_it_works(running: Installation) -> None:
    worker = running.start("engagement")
    await eventually(lambda: worker.ops("/readyz")[0] == 200, "ready")
    assert worker.ops("/livez")[0] == 200
    status, metrics = worker.ops("/metrics")
    assert status == 200
    assert "smb_batch_seconds" in metrics
    status, page = worker.ops("/docs")
    assert status == 200
    assert "EmailClicked" in page
    assert "The link's target" in page
    assert worker.terminate() == 0
