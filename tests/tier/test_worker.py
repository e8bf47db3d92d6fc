"""The tier worker as a process, beside the engagement worker: from events to tiers."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.identity import SmbKey, event_key
from tests.installation import Installation, Message, event, eventually, installed, trigger
from tests.tier.desk import hint_of

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
async def running(installation: Installation) -> Installation:
    """One engagement worker and two tier workers."""
    for name in ("engagement", "tier", "tier"):
        installation.start(name)
    return installation


@pytest.fixture(scope="module")
async def strict(
    database_url: str, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """The same database under a policy with margin and dwell, with topics and a tier worker of its own."""
    text = (files("shared.schemas") / "policy.toml").read_text("utf-8")
    text = text.replace("downgrade_margin_points = 0", "downgrade_margin_points = 5")
    policy = Path(tmp_path_factory.mktemp("policy")) / "strict.toml"
    policy.write_text(text.replace("minimum_dwell_days = 0", "minimum_dwell_days = 7"), "utf-8")
    bootstrap_servers = installation.settings.kafka_bootstrap_servers
    async with installed(database_url, bootstrap_servers, f"strict_{uuid.uuid4().hex[:12]}.") as one:
        one.start("tier", SMB_POLICY_FILE=str(policy))
        yield one


async def tier_of(installation: Installation, smb: SmbKey) -> int:
    tier: int = await installation.value("SELECT engagement_tier FROM smbs WHERE id = $1", smb.smb_id)
    return tier


async def hint(installation: Installation, *smbs: SmbKey) -> None:
    """Announce scores, through the outbox as the engagement service does."""

    async def announce(_transaction: Transaction, _now: datetime) -> Outcome:
        return Outcome(announcements=[Announcement(smb, hint_of(smb).data) for smb in smbs])  # type: ignore[arg-type]

    await transact(installation.database, installation.topics, smbs, announce)


async def put_score(installation: Installation, smb: SmbKey, score: int) -> None:
    await installation.fetch("UPDATE smb_heads SET engagement_score = $2 WHERE smb_id = $1", smb.smb_id, score)


async def evaluate(installation: Installation) -> None:
    """Send the nightly trigger and wait until its run is finished."""
    await installation.publish([trigger("EvaluateTierTransitions")])
    await installation.idle()


async def status_of(installation: Installation, message: Message) -> str | None:
    status: str | None = await installation.value("SELECT status FROM job_runs WHERE run_id = $1", run_of(message))
    return status


def run_of(message: Message) -> uuid.UUID:
    document = json.loads(message.value or b"")
    return event_key(document["source"], document["id"])


async def is_finished(installation: Installation, message: Message) -> bool:
    return await status_of(installation, message) == "finished"


def approvals(smb: SmbKey, count: int) -> list[Message]:
    return [event("ApprovalSubmitted", smb, approval_id=f"a-{one}", service=f"Service {one}") for one in range(count)]


def clicks(smb: SmbKey, count: int, time: datetime = NOW) -> list[Message]:
    return [event("EmailClicked", smb, time=time, message_id=f"m-{one}", url="https://x.test/") for one in range(count)]


async def test_events_carry_an_smb_into_a_better_tier(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await running.publish([*approvals(smb, 5), *clicks(smb, 10)])
    await eventually(lambda: tier_changes_of(running, smb), "the tier has changed")
    await running.idle()
    told = await running.announcements(smb)
    assert [one["type"] for one in told][-1] == "SMBTierChanged"
    assert [int(one["sequence"]) for one in told] == list(range(1, len(told) + 1))
    tiers = [(one["data"]["old_tier"], one["data"]["new_tier"]) for one in told if one["type"] == "SMBTierChanged"]
    assert (tiers[0][0], tiers[-1][1]) == (4, 3)
    assert told[-1]["causationid"] in {one["id"] for one in told if one["type"] == "SMBEngagementChanged"}


async def test_a_crossing_without_an_announcement_follows_at_night(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    # 25 + 9 + 5 = 39 points, then two opens more.
    await running.publish([*approvals(smb, 5), *clicks(smb, 3)])
    await running.publish([event("CallbackReceived", smb, call_id="c-1")])
    await running.idle()
    await running.publish([event("EmailOpened", smb, message_id=f"o-{one}") for one in range(2)])
    await running.idle()
    assert await running.value("SELECT engagement_score FROM smb_heads WHERE smb_id = $1", smb.smb_id) == 41
    assert await tier_of(running, smb) == 4

    await evaluate(running)
    assert await tier_of(running, smb) == 3
    (told,) = await running.announcements(smb, "SMBTierChanged")
    assert told["data"] == {
        "smb_id": str(smb.smb_id),
        "old_tier": 4,
        "new_tier": 3,
        "old_tier_name": "Passive",
        "new_tier_name": "Moderate",
        "direction": "upgrade",
        "score": 41,
        "reason": "nightly evaluation",
    }


async def test_a_lost_score_leads_down_again(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await put_score(running, smb, 82)
    await hint(running, smb)
    await eventually(lambda: tier_changes_of(running, smb), "the upgrade")
    await put_score(running, smb, 12)
    await evaluate(running)
    told = [one["data"] for one in await running.announcements(smb, "SMBTierChanged")]
    assert [(one["old_tier"], one["new_tier"], one["direction"]) for one in told] == [
        (4, 1, "upgrade"),
        (1, 4, "downgrade"),
    ]


async def test_a_hint_delivered_twice_is_told_once(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await put_score(running, smb, 65)
    await hint(running, smb)
    await eventually(lambda: tier_changes_of(running, smb), "the upgrade")
    (record,) = [one for one in await running.read_topic("smb.events") if one.key == str(smb.smb_id).encode()][:1]
    copy = Message("smb.events", record.value, record.key, record.headers)
    await running.publish([copy, copy])
    await running.idle()
    assert await tier_changes_of(running, smb) == 1
    assert len(await running.announcements(smb, "SMBTierChanged")) == 1


async def test_a_deleted_smb_keeps_its_tier_and_tells_nothing(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await running.fetch("UPDATE smbs SET deleted_at = now() WHERE id = $1", smb.smb_id)
    await put_score(running, smb, 90)
    await hint(running, smb)
    await running.idle()
    await evaluate(running)
    assert await tier_of(running, smb) == 4
    assert await running.announcements(smb, "SMBTierChanged") == []


async def test_an_evaluation_begins_when_its_days_recalculation_ends(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    await put_score(running, smb, 55)
    today = NOW - timedelta(days=3)
    recalculation = uuid.uuid4()
    await running.fetch(
        "INSERT INTO job_runs (run_id, name, trigger_source, trigger_id, partition_number, partition_offset,"
        " scheduled_for, status, received_at, progressed_at, shards_total)"
        " VALUES ($1, 'RecalculateEngagementScores', '/test', 'night', 0, 0, $2, 'running', now(), now(), 1)",
        recalculation,
        today,
    )
    waiting = trigger("EvaluateTierTransitions", scheduled_for=today)
    await running.publish([waiting, waiting])
    await eventually(lambda: status_of(running, waiting), "the evaluation is registered")
    # Another night's evaluation goes by: whoever started it has also looked at the one that waits.
    passing = trigger("EvaluateTierTransitions", scheduled_for=today - timedelta(days=1))
    await put_score(running, smb, 5)
    await running.publish([passing])
    await eventually(lambda: is_finished(running, passing), "the evaluation of another day is finished")
    assert await status_of(running, waiting) == "waiting"

    # The look that starts it survives the loss of its connections.
    await running.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'smb-crm tier'"
    )
    await put_score(running, smb, 55)
    await running.fetch(
        "UPDATE job_runs SET status = 'finished', finished_at = now(), shards_done = 1 WHERE run_id = $1", recalculation
    )
    await eventually(lambda: is_finished(running, waiting), "the evaluation that waited is finished")
    await running.idle()
    assert await tier_of(running, smb) == 3
    for message in (waiting, passing):
        shards = await running.fetch(
            "SELECT key, count(*) AS times FROM outgoing_messages WHERE key LIKE $1 || '/%' GROUP BY key",
            str(run_of(message)),
        )
        assert [row["times"] for row in shards] == [1]


async def test_a_policy_file_can_hold_downgrades_back(strict: Installation) -> None:
    within_margin, below_margin, too_young, old_enough = smbs = await strict.add_smbs(4)
    for smb, score, tier, days in (
        (within_margin, 75, 1, 30),
        (below_margin, 74, 1, 30),
        (too_young, 10, 2, 6),
        (old_enough, 10, 2, 8),
    ):
        await put_score(strict, smb, score)
        await strict.fetch(
            "UPDATE smbs SET engagement_tier = $2, tier_changed_at = now() - make_interval(days => $3) WHERE id = $1",
            smb.smb_id,
            tier,
            days,
        )
    await hint(strict, *smbs)
    await strict.idle()
    assert [await tier_of(strict, smb) for smb in smbs] == [1, 2, 2, 4]


async def test_both_tier_workers_end_cleanly_while_an_evaluation_waits(running: Installation) -> None:
    await running.fetch(
        "INSERT INTO job_runs (run_id, name, trigger_source, trigger_id, partition_number, partition_offset,"
        " scheduled_for, status, received_at, progressed_at, shards_total) VALUES (gen_random_uuid(),"
        " 'RecalculateEngagementScores', '/test', 'stays', 0, 0, $1, 'running', now(), now(), 1)",
        NOW - timedelta(days=9),
    )
    waiting = trigger("EvaluateTierTransitions", scheduled_for=NOW - timedelta(days=9))
    await running.publish([waiting])
    await eventually(lambda: status_of(running, waiting), "the evaluation is registered")
    workers = [worker for worker in running.workers if worker.name == "tier"]
    assert [worker.terminate() for worker in workers] == [0, 0]
    assert not any("did not end in time" in worker.logged() for worker in workers)
    assert await status_of(running, waiting) == "waiting"


async def tier_changes_of(installation: Installation, smb: SmbKey) -> int:
    changes: int = await installation.value("SELECT count(*) FROM tier_changes WHERE smb_id = $1", smb.smb_id)
    return changes
