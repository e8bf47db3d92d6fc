"""What a score is, in examples. No I/O."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.engagement.rules import ScoredEvent, is_announced, points, score
from shared.schemas.policy import Policy

SCORING = Policy.default().score
TODAY = date(2026, 3, 31)


def events(kind: str, count: int, age_days: int = 0, *, hour: int = 12) -> list[ScoredEvent]:
    day = TODAY - timedelta(days=age_days)
    return [ScoredEvent(kind, datetime(day.year, day.month, day.day, hour, tzinfo=UTC))] * count


def total(*lists: list[ScoredEvent], as_of: date = TODAY) -> int:
    return score([event for one in lists for event in one], SCORING, as_of).score


def test_an_smb_without_events_scores_nothing() -> None:
    assert total() == 0


@pytest.mark.parametrize(
    ("kind", "points_each"),
    [
        ("email_opened", 1),
        ("rvm_delivered", 1),
        ("email_clicked", 3),
        ("callback_received", 5),
        ("content_viewed", 2),
        ("content_completed", 2),
        ("approval_approved", 5),
    ],
)
def test_each_kind_adds_its_points(kind: str, points_each: int) -> None:
    assert total(events(kind, 2)) == 2 * points_each


def test_a_rejected_approval_adds_nothing() -> None:
    assert total(events("approval_rejected", 9)) == 0


def test_only_opens_clicks_views_and_approvals_give_the_formula_of_the_gap_analysis() -> None:
    opened, clicked, viewed, approved = 7, 4, 6, 2
    expected = min(opened * 1, 25) + min(clicked * 3, 30) + min(viewed * 2, 20) + min(approved * 5, 25)
    found = total(
        events("email_opened", opened, 3),
        events("email_clicked", clicked, 10),
        events("content_viewed", viewed, 29),
        events("approval_approved", approved),
    )
    assert found == expected


@pytest.mark.parametrize(
    ("kinds", "cap"),
    [
        (("email_opened", "rvm_delivered"), 25),
        (("email_clicked", "callback_received"), 30),
        (("content_viewed", "content_completed"), 20),
        (("approval_approved",), 25),
    ],
)
def test_each_group_stops_at_its_cap(kinds: tuple[str, ...], cap: int) -> None:
    assert total(*(events(kind, 50) for kind in kinds)) == cap


def test_all_groups_together_reach_100() -> None:
    everything = [events(kind, 50) for kind in ("email_opened", "email_clicked", "content_viewed", "approval_approved")]
    assert total(*everything) == 100


def test_the_window_holds_today_and_the_29_days_before() -> None:
    assert total(events("email_clicked", 1, 29, hour=0)) == 3
    assert total(events("email_clicked", 1, 30, hour=23)) == 0


def test_the_score_changes_at_midnight_utc() -> None:
    clicked_on_the_first = events("email_clicked", 1, 29, hour=0)
    assert total(clicked_on_the_first, as_of=TODAY) == 3
    assert total(clicked_on_the_first, as_of=TODAY + timedelta(days=1)) == 0


def test_an_event_dated_tomorrow_counts_from_its_date_on() -> None:
    tomorrow = events("email_clicked", 1, -1, hour=0)
    assert total(tomorrow) == 0
    assert total(tomorrow, as_of=TODAY + timedelta(days=1)) == 3


def test_the_day_of_an_event_is_its_utc_day_whatever_its_offset() -> None:
    late_evening_in_new_york = datetime.fromisoformat("2026-03-01T22:30:00-05:00")  # 2 March in UTC
    assert score([ScoredEvent("email_clicked", late_evening_in_new_york)], SCORING, TODAY).score == 3
    assert score([ScoredEvent("email_clicked", late_evening_in_new_york)], SCORING, date(2026, 3, 1)).score == 0


@pytest.mark.parametrize(("age_days", "billionths"), [(0, 5_000_000_000), (30, 2_500_000_000), (90, 625_000_000)])
def test_an_approval_halves_every_30_days_for_all_time(age_days: int, billionths: int) -> None:
    assert score(events("approval_approved", 1, age_days), SCORING, TODAY).approval == billionths


def test_fractions_of_groups_are_added_before_the_floor() -> None:
    half_an_approval = events("approval_approved", 1, 30)  # 2.5 points
    assert total(half_an_approval, half_an_approval) == 5


def test_points_for_people_are_fractions() -> None:
    assert points(2_500_000_000) == 2.5


@pytest.mark.parametrize(
    ("announced", "new", "expected"), [(0, 10, False), (0, 11, True), (50, 40, False), (50, 39, True)]
)
def test_only_a_change_of_more_than_ten_is_announced(announced: int, new: int, *, expected: bool) -> None:
    assert is_announced(announced, new) is expected
