"""When jobs are due, and what a CronJob's name says: tables of examples."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.schemas.schedules import SCHEDULES, minute_of_job, scheduled_for
from shared.schemas.triggers import TRIGGERS

# A Wednesday.
NOW = datetime(2026, 3, 4, 2, 30, 15, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "now", "due"),
    [
        ("AdvanceManifestDestinyDay", NOW, datetime(2026, 3, 4, 0, 1, tzinfo=UTC)),
        ("RecalculateEngagementScores", NOW, datetime(2026, 3, 4, 2, 0, tzinfo=UTC)),
        ("EvaluateTierTransitions", NOW, datetime(2026, 3, 3, 3, 0, tzinfo=UTC)),
        ("EvaluateTierTransitions", datetime(2026, 3, 4, 3, 0, tzinfo=UTC), datetime(2026, 3, 4, 3, 0, tzinfo=UTC)),
        ("CleanupDeletedSMBs", NOW, datetime(2026, 3, 1, 0, 0, tzinfo=UTC)),
        ("CleanupDeletedSMBs", datetime(2026, 3, 1, 0, 0, tzinfo=UTC), datetime(2026, 3, 1, 0, 0, tzinfo=UTC)),
        ("RecalculateDataQuality", datetime(2026, 3, 1, 3, 59, tzinfo=UTC), datetime(2026, 2, 22, 4, 0, tzinfo=UTC)),
        ("RecalculateDataQuality", datetime(2026, 3, 1, 4, 0, tzinfo=UTC), datetime(2026, 3, 1, 4, 0, tzinfo=UTC)),
        ("AdvanceManifestDestinyDay", datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_trigger_by_hand_asks_for_the_latest_time_at_which_it_was_due(
    trigger: str, now: datetime, due: datetime
) -> None:
    assert scheduled_for(trigger, None, now) == due


def test_another_clock_shows_the_same_due_time() -> None:
    new_york = NOW.astimezone(datetime.strptime("-0500", "%z").tzinfo)
    assert scheduled_for("EvaluateTierTransitions", None, new_york) == datetime(2026, 3, 3, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "minute"),
    [
        ("smb-crm-recalculate-29543160", datetime(2026, 3, 4, 2, 0, tzinfo=UTC)),
        ("29543160", None),
        ("smb-crm-recalculate-29543160-retry", None),
        ("smb-crm-recalculate-2954316", None),
        ("smb-crm-recalculate-manual-a1b2c", None),
    ],
)
def test_a_cronjobs_name_ends_in_its_minute(name: str, minute: datetime | None) -> None:
    assert minute_of_job(name) == minute


def test_the_minute_in_the_name_wins_over_the_schedule() -> None:
    at = NOW.replace(second=0, microsecond=0) - timedelta(days=2)
    name = f"smb-crm-advance-{int(at.timestamp()) // 60}"
    assert scheduled_for("AdvanceManifestDestinyDay", name, NOW) == at


def test_a_number_far_ahead_is_no_minute() -> None:
    assert scheduled_for("RecalculateEngagementScores", "by-hand-99999999", NOW) == datetime(
        2026, 3, 4, 2, 0, tzinfo=UTC
    )


def test_every_trigger_has_a_schedule_as_kubernetes_writes_it() -> None:
    assert {trigger.__name__ for trigger in TRIGGERS} == set(SCHEDULES)
    assert {name: schedule.cron for name, schedule in SCHEDULES.items()} == {
        "AdvanceManifestDestinyDay": "1 0 * * *",
        "RecalculateEngagementScores": "0 2 * * *",
        "EvaluateTierTransitions": "0 3 * * *",
        "CleanupDeletedSMBs": "0 0 * * 0",
        "RecalculateDataQuality": "0 4 * * 0",
    }
