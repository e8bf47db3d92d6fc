"""The policy file: what it may say, and how a mistake in it is told."""

from datetime import time
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest

from shared.schemas.policy import Policy, PolicyError, hundredths, load_policy

TEXT = (files("shared.schemas") / "policy.toml").read_text(encoding="utf-8")


def loaded(folder: Path, text: str) -> Policy:
    """Return the policy that a text says."""
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path)


def test_the_default_is_what_the_requirements_say() -> None:
    policy = Policy.default()

    assert policy.score.points.model_dump() == {
        "email_opened": 1, "rvm_delivered": 1, "email_clicked": 3, "callback_received": 5, "content_viewed": 2,
        "content_completed": 2,
    }  # fmt: skip
    assert policy.score.caps.model_dump() == {"reach": 25, "response": 30, "content": 20, "approval": 25}
    assert (policy.score.window_days, policy.score.approval.half_life_days) == (30, 30)
    assert policy.score.approval.points == Decimal(5)
    assert [(rule.tier, rule.name, rule.min_score) for rule in policy.tiers] == [
        (1, "Premium", 80), (2, "Active", 60), (3, "Moderate", 40), (4, "Passive", 0),
    ]  # fmt: skip
    assert policy.campaign.send_time == time(9)
    assert (policy.tier_changes.downgrade_margin_points, policy.tier_changes.minimum_dwell_days) == (0, 0)


@pytest.mark.parametrize(("score", "tier"), [(100, 1), (80, 1), (79, 2), (60, 2), (59, 3), (40, 3), (39, 4), (0, 4)])
def test_a_score_belongs_to_the_best_tier_whose_threshold_it_reaches(score: int, tier: int) -> None:
    assert Policy.default().tier_of(score).tier == tier


def test_weights_are_taken_exactly(tmp_path: Path) -> None:
    policy = loaded(tmp_path, TEXT.replace("email_opened = 1", "email_opened = 0.29"))

    assert policy.score.points.email_opened == Decimal("0.29")
    assert hundredths(policy.score.points.email_opened) == 29


def test_the_version_depends_on_what_is_said_not_on_how_it_is_written(tmp_path: Path) -> None:
    written_otherwise = TEXT.replace("email_opened = 1", "email_opened   = 1.00 # the same").replace(
        '"09:00"', "09:00:00"
    )

    assert loaded(tmp_path, written_otherwise).version == Policy.default().version
    assert loaded(tmp_path, TEXT.replace("email_opened = 1", "email_opened = 1.01")).version != Policy.default().version


def test_the_version_of_the_default_stays_the_same_in_every_process() -> None:
    assert Policy.default().version == "045126d8521b"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("window_days = 30", "window_days = 0", "score.window_days"),
        ("window_days = 30", 'window_days = "30"', "score.window_days"),
        ("window_days = 30", "", "score.window_days"),
        ("email_opened = 1", "email_opened = 0.125", "score.points.email_opened"),
        ("email_opened = 1", "email_opened = 100.01", "score.points.email_opened"),
        ("email_opened = 1", "email_opened = -1", "score.points.email_opened"),
        ("email_opened = 1", "email_opened = nan", "score.points.email_opened"),
        ("email_opened = 1", "email_opened = true", "score.points.email_opened"),
        ("email_opened = 1", "email_opened = 1\nemail_closed = 1", "score.points.email_closed"),
        ("reach = 25", "reach = 101", "score.caps.reach"),
        ("half_life_days = 30", "half_life_days = 0", "score.approval.half_life_days"),
        ("min_score = 60", "min_score = 80", "tiers"),
        ("min_score = 0", "min_score = 1", "tiers"),
        ("tier = 4", "tier = 3", "tiers"),
        ('name = "Active"', 'name = ""', "tiers.1.name"),
        ("minimum_dwell_days = 0", "minimum_dwell_days = -1", "tier_changes.minimum_dwell_days"),
        ('send_time = "09:00"', 'send_time = "9 am"', "campaign.send_time"),
        ('send_time = "09:00"', 'send_time = "24:00"', "campaign.send_time"),
        ('send_time = "09:00"', "send_time = 09:00:30", "campaign"),
        ("business_name = 15", "business_name = 16", "data_quality"),
        ("[campaign]", "[campaign]\nzone = 1", "campaign.zone"),
        ("[score]", "[score", "TOML"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_field(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in TEXT

    with pytest.raises(PolicyError) as caught:
        loaded(tmp_path, TEXT.replace(old, new))

    assert named in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_can_not_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "policy.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PolicyError, match=r"policy\.toml: "):
        load_policy(path)
