"""Which tier a score means, and what holds a downgrade back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tier.rules import direction, evaluate
from shared.schemas.policy import Policy

NOW = datetime(2026, 3, 8, 3, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)


def policy(*, margin_points: int = 0, dwell_days: int = 0) -> Policy:
    changes = {"downgrade_margin_points": margin_points, "minimum_dwell_days": dwell_days}
    return Policy.model_validate(Policy.default().model_dump() | {"tier_changes": changes})


tiers = st.integers(1, 4)
scores = st.integers(0, 100)
policies = st.builds(policy, margin_points=scores, dwell_days=st.integers(0, 60))
moments = st.one_of(st.none(), st.integers(0, 90).map(lambda days: NOW - timedelta(days=days)))


@pytest.mark.parametrize(
    ("score", "tier"), [(100, 1), (80, 1), (79, 2), (60, 2), (59, 3), (40, 3), (39, 4), (1, 4), (0, 4)]
)
@pytest.mark.parametrize("current", [1, 2, 3, 4])
def test_a_score_at_the_threshold_belongs_to_the_better_tier(current: int, score: int, tier: int) -> None:
    assert evaluate(current, score, policy(), LONG_AGO, NOW) == tier


@pytest.mark.parametrize(("current", "score", "tier"), [(4, 100, 1), (4, 60, 2), (1, 0, 4), (2, 39, 4)])
def test_several_tiers_are_jumped_at_once(current: int, score: int, tier: int) -> None:
    assert evaluate(current, score, policy(), None, NOW) == tier


@pytest.mark.parametrize(("score", "tier"), [(59, 2), (55, 2), (54, 3)])
def test_a_margin_keeps_a_tier_until_the_score_is_more_than_so_many_points_below(score: int, tier: int) -> None:
    assert evaluate(2, score, policy(margin_points=5), None, NOW) == tier


def test_a_margin_holds_at_each_threshold_so_one_fall_ends_where_two_do() -> None:
    lenient = policy(margin_points=5)
    in_two_steps = evaluate(evaluate(1, 70, lenient, None, NOW), 58, lenient, None, NOW)
    assert evaluate(1, 58, lenient, None, NOW) == in_two_steps == 2


def test_a_margin_does_not_lower_what_an_upgrade_asks_for() -> None:
    assert evaluate(3, 59, policy(margin_points=5), None, NOW) == 3
    assert evaluate(3, 60, policy(margin_points=5), None, NOW) == 2


def test_a_downgrade_waits_until_the_dwell_is_over() -> None:
    settled = policy(dwell_days=7)
    assert evaluate(2, 10, settled, NOW - timedelta(days=7) + timedelta(microseconds=1), NOW) == 2
    assert evaluate(2, 10, settled, NOW - timedelta(days=7), NOW) == 4


def test_an_upgrade_does_not_wait_for_the_dwell() -> None:
    assert evaluate(3, 85, policy(dwell_days=7), NOW, NOW) == 1


def test_an_smb_that_never_changed_has_dwelt_long_enough() -> None:
    assert evaluate(2, 10, policy(dwell_days=7), None, NOW) == 4


@given(tiers, scores, policies, moments)
def test_a_tier_that_was_just_given_stays(
    current: int, score: int, in_force: Policy, changed_at: datetime | None
) -> None:
    given_tier = evaluate(current, score, in_force, changed_at, NOW)
    assert evaluate(given_tier, score, in_force, NOW, NOW) == given_tier


@given(tiers, scores, policies, moments)
def test_margin_and_dwell_never_give_a_worse_tier_than_none(
    current: int, score: int, in_force: Policy, changed_at: datetime | None
) -> None:
    plain = evaluate(current, score, policy(), changed_at, NOW)
    held = evaluate(current, score, in_force, changed_at, NOW)
    assert held <= plain
    assert held == plain or current <= held


def test_upgrades_go_towards_tier_one() -> None:
    assert direction(4, 3) == "upgrade"
    assert direction(1, 2) == "downgrade"
