"""`verify` finds what a nightly job should have brought up to date and did not."""

from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from shared.schemas.identity import SmbKey
from tests.installation import Installation, eventually, trigger
from tests.verify.examples import differences, start_campaign

NOW = datetime.now(UTC)
SCORED_ON = "UPDATE smb_heads SET engagement_scored_on = $2 WHERE smb_id = $1"
RUN = "SELECT day_one, day, next_send, timezone, refreshed_at FROM campaigns WHERE smb_id = $1"
PUT_RUN = """
    WITH run AS (
        UPDATE campaigns SET day_one = $2, day = $3, next_send = $4, timezone = $5, refreshed_at = $6 WHERE smb_id = $1
    )
    UPDATE smbs SET manifest_destiny_day = $3, next_scheduled_send = $4 WHERE id = $1
"""


@pytest.fixture(scope="module")
async def night(installation: Installation) -> tuple[Installation, SmbKey, asyncpg.Record]:
    """A night has passed over an SMB with a campaign; the record is its run as the night found it."""
    (smb, *_) = await installation.add_smbs(3)
    await start_campaign(installation, smb, NOW - timedelta(days=10))
    (run,) = await installation.fetch(RUN, smb.smb_id)
    assert run["next_send"] < NOW
    assert await differences(installation) == []  # no job ever ran, so none has skipped it
    for service in ("engagement", "campaign"):
        installation.start(service)
    await installation.publish([trigger("RecalculateEngagementScores"), trigger("AdvanceManifestDestinyDay")])
    await eventually(lambda: both_are_finished(installation), "both jobs are finished")
    return installation, smb, run


async def both_are_finished(installation: Installation) -> bool:
    finished: int = await installation.value("SELECT count(*) FROM job_runs WHERE status = 'finished'")
    return finished == 2


async def test_after_a_night_that_skipped_nobody_nothing_differs(
    night: tuple[Installation, SmbKey, asyncpg.Record],
) -> None:
    installation, smb, before = night
    (after,) = await installation.fetch(RUN, smb.smb_id)
    assert after["day"] > before["day"]
    assert await differences(installation) == []


@pytest.mark.parametrize("scored_on", [NOW.date() - timedelta(days=1), None])
async def test_an_smb_that_the_recalculation_skipped_is_found(
    night: tuple[Installation, SmbKey, asyncpg.Record], scored_on: date | None
) -> None:
    installation, smb, _ = night
    as_it_is = await installation.value("SELECT engagement_scored_on FROM smb_heads WHERE smb_id = $1", smb.smb_id)
    await installation.fetch(SCORED_ON, smb.smb_id, scored_on)
    try:
        (found,) = await differences(installation)
    finally:
        await installation.fetch(SCORED_ON, smb.smb_id, as_it_is)
    assert (found.smb, found.kind, found.what, found.stored) == (smb, "score", "engagement_scored_on", scored_on)


async def test_a_campaign_that_the_daily_advance_skipped_is_found(
    night: tuple[Installation, SmbKey, asyncpg.Record],
) -> None:
    installation, smb, before = night
    (after,) = await installation.fetch(RUN, smb.smb_id)
    await installation.fetch(PUT_RUN, smb.smb_id, *before)
    try:
        (found,) = await differences(installation)
    finally:
        await installation.fetch(PUT_RUN, smb.smb_id, *after)
    assert (found.smb, found.kind, found.what) == (smb, "campaign", "next_scheduled_send")
    assert found.stored == before["next_send"]


async def test_runs_that_are_not_finished_have_skipped_nobody_yet(
    night: tuple[Installation, SmbKey, asyncpg.Record],
) -> None:
    installation, smb, before = night
    (after,) = await installation.fetch(RUN, smb.smb_id)
    runs = await installation.fetch("UPDATE job_runs SET status = 'running', finished_at = NULL RETURNING run_id")
    assert len(runs) == 2
    await installation.fetch(PUT_RUN, smb.smb_id, *before)
    try:
        assert await differences(installation) == []
    finally:
        await installation.fetch(PUT_RUN, smb.smb_id, *after)
        await installation.fetch("UPDATE job_runs SET status = 'finished', finished_at = now()")


async def test_what_came_into_being_after_the_night_was_not_skipped(
    night: tuple[Installation, SmbKey, asyncpg.Record],
) -> None:
    installation, _, _ = night
    (smb,) = await installation.add_smbs(1)
    await start_campaign(installation, smb, datetime.now(UTC))
    assert await installation.value("SELECT engagement_scored_on FROM smb_heads WHERE smb_id = $1", smb.smb_id) is None
    assert await differences(installation) == []


async def test_a_deleted_smb_is_not_missed_by_the_recalculation(
    night: tuple[Installation, SmbKey, asyncpg.Record],
) -> None:
    installation, _, _ = night
    (smb,) = await installation.add_smbs(1)
    await installation.fetch(
        "UPDATE smbs SET created_at = created_at - interval '1 day', deleted_at = now() WHERE id = $1", smb.smb_id
    )
    assert await differences(installation) == []
