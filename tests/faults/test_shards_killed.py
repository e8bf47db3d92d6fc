"""Workers that are killed inside a job shard: the run comes to its end, and each shard counts once."""

import signal
from datetime import UTC, datetime

import pytest

from services.verify.verification import verify
from shared.runtime import crash_points
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.faults.campaign_traffic import command
from tests.faults.scene import all_hold, load_on
from tests.faults.traffic import traffic
from tests.installation import Installation, eventually, trigger

SMALL_SHARDS = {"SMB_SHARD_MAX_SMBS": "3"}
# As if the campaigns had begun ten days ago and nobody had looked at them since then.
AGE_CAMPAIGNS = """
WITH aged AS (
    UPDATE campaigns SET start_date = start_date - 10, day_one = day_one - 10,
        next_send = next_send - interval '10 days', refreshed_at = refreshed_at - interval '10 days'
)
UPDATE smbs SET manifest_destiny_start_date = manifest_destiny_start_date - 10,
    next_scheduled_send = next_scheduled_send - interval '10 days'
"""
AGE_SCORES = "UPDATE smb_heads SET engagement_scored_on = engagement_scored_on - 1"


@pytest.fixture(scope="module")
async def smbs(installation: Installation) -> list[SmbKey]:
    """SMBs with scores and running campaigns, and nothing under way."""
    smbs = await installation.add_smbs(14)
    for service in ("engagement", "campaign"):
        installation.start(service)
    async with load_on(installation) as load:
        await load.send([*traffic(1, smbs, 200), *(command("start", smb) for smb in smbs)])
        await all_hold(installation, load)
    return smbs


async def killed_inside_a_shard(installation: Installation, service: str, job: str, point: str) -> tuple[int, int, int]:
    """Kill a worker in its second shard (the trigger is its first batch); returns what the next one makes of the run.

    Those are shards_total, smbs_seen and smbs_changed.
    """
    for worker in installation.workers:
        if worker.name == service:
            worker.terminate()
    victim = installation.start(service, SMB_CRASH_AT=f"{point}:3", **SMALL_SHARDS)
    await installation.publish([trigger(job)])
    await eventually(lambda: victim.process.poll() is not None, "killed inside a shard")
    assert victim.process.returncode == -signal.SIGKILL
    (run,) = await installation.fetch("SELECT * FROM job_runs WHERE name = $1", job)
    assert run["shards_done"] == {crash_points.BEFORE_COMMIT: 1, crash_points.AFTER_COMMIT: 2}[point]
    installation.start(service, **SMALL_SHARDS)
    await installation.idle()
    (run,) = await installation.fetch("SELECT * FROM job_runs WHERE name = $1", job)
    assert (run["status"], run["shards_done"]) == ("finished", run["shards_total"])
    found = await verify(installation.database, Policy.default())
    assert found.mismatches == 0
    return run["shards_total"], run["smbs_seen"], run["smbs_changed"]


async def test_a_recalculation_killed_after_a_commit_counts_each_smb_once(
    installation: Installation, smbs: list[SmbKey]
) -> None:
    await installation.fetch(AGE_SCORES)
    run = await killed_inside_a_shard(
        installation, "engagement", "RecalculateEngagementScores", crash_points.AFTER_COMMIT
    )
    assert run[:2] == (5, len(smbs))
    dump = await all_hold(installation)
    assert {dump.heads[smb].scored_on for smb in smbs} == {datetime.now(UTC).date()}


async def test_a_daily_advance_killed_before_a_commit_counts_each_smb_once(
    installation: Installation, smbs: list[SmbKey]
) -> None:
    await installation.fetch(AGE_CAMPAIGNS)
    run = await killed_inside_a_shard(installation, "campaign", "AdvanceManifestDestinyDay", crash_points.BEFORE_COMMIT)
    assert run == (5, len(smbs), len(smbs))
    days = await installation.fetch("SELECT DISTINCT manifest_destiny_day, next_scheduled_send > now() FROM smbs")
    assert [tuple(row) for row in days] == [(11, True)]
