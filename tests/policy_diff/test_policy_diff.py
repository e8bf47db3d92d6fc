"""A policy is compared with the one in force: what is foretold is what a roll-out then does, and nothing is changed."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.policy_diff import Change, PolicyDiff, compare, differing_settings
from services.policy_diff.comparison import Policies
from shared.runtime.database import Database, TenantDatabase
from shared.schemas.policy import Policy, load_policy
from tests.commands import smb_crm, succeeds
from tests.policy_diff.population import FORMULA, NOW, SMBS, TENANTS, Population

PRESENT = Policy.default()
DELETED = SMBS // 25
CHANGED_SETTINGS = {
    "window_days = 30": "window_days = 45",
    "email_opened = 1": "email_opened = 0.25",
    "reach = 25": "reach = 30",
    "half_life_days = 30": "half_life_days = 10",
    "min_score = 60": "min_score = 55",
    "downgrade_margin_points = 0": "downgrade_margin_points = 4",
    "minimum_dwell_days = 0": "minimum_dwell_days = 7",
}


@dataclass
class Found:
    """What a comparison gave."""

    diff: PolicyDiff = field(default_factory=PolicyDiff)
    changes: list[Change] = field(default_factory=list)
    heads: int = 0

    def count(self, heads: int) -> None:
        self.heads += heads


@pytest.fixture(scope="module")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy file that differs in its window, weights, caps, decay, tiers and what downgrades wait for."""
    written = files("shared.schemas").joinpath("policy.toml").read_text(encoding="utf-8")
    for before, after in CHANGED_SETTINGS.items():
        assert written.count(before) == 1
        written = written.replace(before, after)
    file = tmp_path_factory.mktemp("policies") / "new.toml"
    file.write_text(written, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def proposed(new_file: Path) -> Policy:
    return load_policy(new_file)


@pytest.fixture(scope="module")
def environment(database_url: str) -> Mapping[str, str]:
    """Everything that the command needs: no broker is there."""
    return {"SMB_DATABASE_URL": database_url, "SMB_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


async def compared(
    database: Database | TenantDatabase,
    proposed: Policy,
    now: datetime = NOW,
    **options: Any,  # noqa: ANN401
) -> Found:
    found = Found()
    policies = Policies(PRESENT, proposed, now)
    found.diff = await compare(database, policies, on_change=found.changes.append, on_progress=found.count, **options)
    return found


async def test_the_counts_and_the_list_agree_however_they_are_read(population: Population, proposed: Policy) -> None:
    whole = await compared(population.database, proposed)
    diff, changes = whole.diff, whole.changes
    assert diff.smbs == diff.tiers.total() == SMBS - DELETED
    assert whole.heads == SMBS + 20
    assert diff.other_scores == sum(one.present.score != one.proposed.score for one in changes) > 100
    others = Counter((one.present.tier, one.proposed.tier) for one in changes if one.present.tier != one.proposed.tier)
    assert others == {way: smbs for way, smbs in diff.tiers.items() if way[0] != way[1]}
    assert diff.other_tiers == others.total() > 20
    # Up and down, although downgrades wait.
    assert {before < after for before, after in others} == {True, False}
    keys = [one.smb for one in changes]
    assert keys == sorted(set(keys))
    changed_points = sum(one.proposed.score - one.present.score for one in changes)
    assert diff.proposed_mean - diff.present_mean == pytest.approx(changed_points / diff.smbs)
    assert await compared(population.database, proposed, chunk_smbs=7) == whole
    by_tenant = [await compared(population.database, proposed, tenant_id=tenant) for tenant in TENANTS]
    assert [change for one in by_tenant for change in one.changes] == changes
    assert sum((one.diff.tiers for one in by_tenant), Counter[tuple[int, int]]()) == diff.tiers


async def test_the_api_compares_its_tenant_alone(population: Population, proposed: Policy) -> None:
    api = Database.create(population.url, role="smb_api")
    own = await compared(api.of(TENANTS[1]), proposed)
    await api.close()
    assert own == await compared(population.database, proposed, tenant_id=TENANTS[1])
    assert own.changes


async def test_the_same_policy_changes_nobody_and_a_better_tier_alone_no_score(population: Population) -> None:
    same = await compared(population.database, PRESENT)
    assert (same.changes, same.diff.other_scores, same.diff.other_tiers) == ([], 0, 0)
    easier = PRESENT.model_copy(
        update={"tiers": tuple(rule.model_copy(update={"min_score": rule.min_score // 2}) for rule in PRESENT.tiers)}
    )
    found = await compared(population.database, easier)
    assert found.diff.other_scores == 0
    assert found.changes
    assert all(one.proposed.tier < one.present.tier for one in found.changes)


async def test_no_smb_is_compared_where_there_is_none(population: Population, proposed: Policy) -> None:
    nobody = await compared(population.database, proposed, tenant_id=UUID(int=5))
    assert (nobody.diff.smbs, nobody.diff.present_mean, nobody.changes) == (0, 0.0, [])


def test_settings_that_differ_are_named_as_in_the_file(proposed: Policy) -> None:
    found = differing_settings(PRESENT, proposed)
    assert [(one.name, one.present, one.proposed) for one in found] == [
        ("score.window_days", "30", "45"),
        ("score.points.email_opened", "1", "0.25"),
        ("score.caps.reach", "25", "30"),
        ("score.approval.half_life_days", "30", "10"),
        ("tiers.2.min_score", "60", "55"),
        ("tier_changes.downgrade_margin_points", "0", "4"),
        ("tier_changes.minimum_dwell_days", "0", "7"),
    ]
    assert differing_settings(PRESENT, PRESENT) == []


async def test_the_command_tells_all_of_it_to_people_scripts_and_spreadsheets(
    population: Population, new_file: Path, proposed: Policy, environment: Mapping[str, str], tmp_path: Path
) -> None:
    sheet = tmp_path / "changes.csv"
    before = await population.everything()
    document = (await succeeds(environment, "policy", "diff", new_file, "--json", "--csv", sheet)).document
    assert await population.everything() == before
    as_of = datetime.fromisoformat(document["as_of"]).date()
    found = await compared(population.database, proposed, datetime.combine(as_of, time(12), NOW.tzinfo))
    assert (document["present_version"], document["proposed_version"]) == (PRESENT.version, proposed.version)
    assert document["settings"][0] == {"name": "score.window_days", "present": "30", "proposed": "45"}
    diff = found.diff
    assert (document["smbs"], document["other_scores"], document["other_tiers"]) == (
        diff.smbs,
        diff.other_scores,
        diff.other_tiers,
    )
    assert document["mean_score_change"] == pytest.approx(diff.proposed_mean - diff.present_mean)
    assert {(one["present_tier"], one["proposed_tier"]): one["smbs"] for one in document["tiers"]} == diff.tiers
    rows = [
        {
            "tenant_id": str(one.smb.tenant_id),
            "smb_id": str(one.smb.smb_id),
            "business_name": one.business_name,
            "stored_tier": one.stored_tier,
            "present_tier": one.present.tier,
            "proposed_tier": one.proposed.tier,
            "present_score": one.present.score,
            "proposed_score": one.proposed.score,
        }
        for one in found.changes
    ]
    assert document["changes"] == rows
    # A spreadsheet shows what it would run otherwise.
    assert any(one.business_name == FORMULA for one in found.changes)
    expected = [{name: f"'{value}" if value == FORMULA else str(value) for name, value in row.items()} for row in rows]
    with sheet.open(encoding="utf-8", newline="") as opened:
        assert list(csv.DictReader(opened)) == expected

    none = (
        await succeeds(environment, "policy", "diff", new_file, "--json", "--limit", 0, "--tenant", TENANTS[1])
    ).document
    assert (none["changes"], 0 < none["smbs"] < diff.smbs) == ([], True)
    text = (await succeeds(environment, "policy", "diff", new_file, "--limit", 3)).out
    assert f"policy {PRESENT.version} → {proposed.version}" in text
    assert "score.window_days" in text
    assert f"{diff.smbs} SMBs: {diff.other_tiers} in another tier, {diff.other_scores} with another score" in text
    assert [line for line in text.splitlines() if str(found.changes[2].smb.smb_id) in line]
    assert f"… and {len(rows) - 3} more: see --limit and --csv" in text


async def test_what_is_wrong_is_one_line(new_file: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("score = 1")
    sheet = tmp_path / "never.csv"
    failure = (await smb_crm(environment, "policy", "diff", broken, "--csv", sheet)).failure
    assert f"{broken}: score: " in failure
    assert not sheet.exists()
    missing = tmp_path / "missing.toml"
    assert f"{missing}: No such file" in (await smb_crm(environment, "policy", "diff", missing)).failure
    nowhere = tmp_path / "nowhere" / "changes.csv"
    failure = (await smb_crm(environment, "policy", "diff", new_file, "--csv", nowhere)).failure
    assert f"{nowhere} can't be written: No such file" in failure


async def test_a_roll_out_does_what_was_foretold_and_so_does_the_way_back(
    population: Population, proposed: Policy
) -> None:
    """The last test of this module: it changes the population."""
    foretold = await compared(population.database, proposed)
    await population.roll_out(proposed)
    real = await population.standings()
    assert len(real) == SMBS - DELETED
    assert {one.smb: tuple(one.proposed) for one in foretold.changes} == {
        one.smb: real[one.smb] for one in foretold.changes
    }
    # And for those who are not listed, whom both policies treat alike.
    assert Counter(tier for _, tier in real.values()) == by_tier(foretold.diff, 1)
    assert sum(score for score, _ in real.values()) == foretold.diff.proposed_points

    # Now downgrades have to wait, by the proposed policy, for those that have just changed.
    back = await compared(population.database, proposed)
    await population.roll_out(PRESENT)
    real = await population.standings()
    assert {one.smb: tuple(one.present) for one in back.changes} == {one.smb: real[one.smb] for one in back.changes}
    assert Counter(tier for _, tier in real.values()) == by_tier(back.diff, 0)
    assert sum(score for score, _ in real.values()) == back.diff.present_points


def by_tier(diff: PolicyDiff, side: int) -> Counter[int]:
    """How many SMBs are in each tier by the present (0) or the proposed (1) policy."""
    return sum((Counter({way[side]: smbs}) for way, smbs in diff.tiers.items()), Counter[int]())
