"""`smb-crm policy diff`: who would change score and tier under another policy."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol
from uuid import UUID

import typer

from services.cli.connections import open_database, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, plain, progress, say, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.policy_diff import Change, PolicyDiff
    from services.policy_diff.comparison import Policies
    from shared.runtime.settings import Settings
    from shared.schemas.policy import Policy

# What people are shown of a long list; scripts get all of it.
SHOWN = 20
COLUMNS = (
    "tenant_id",
    "smb_id",
    "business_name",
    "stored_tier",
    "present_tier",
    "proposed_tier",
    "present_score",
    "proposed_score",
)


class Report(Protocol):
    """Where the result goes: each change as it is found, then what they come to."""

    def change(self, change: "Change") -> None:
        """Take one SMB that changes."""

    def summary(self, policies: "Policies", diff: "PolicyDiff") -> None:
        """Take the counts."""


def diff(
    proposed: Annotated[Path, typer.Argument(metavar="NEW.toml", help="The policy to compare with the one in force.")],
    tenant: Annotated[UUID | None, typer.Option(help="Only this tenant's SMBs.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"List at most so many SMBs; all are counted.  [default: {SHOWN}; all with --json]"),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every SMB that changes into this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell who would change score and tier under another policy, before it is rolled out.

    Both policies score all events as of now; tiers are what the next evaluation would make of them, starting from the
    stored ones. Changes nothing, so it may run beside the workers at any time.
    """
    from shared.runtime.settings import load_settings
    from shared.runtime.worker import read_policy
    from shared.schemas.policy import load_policy

    settings = load_settings()
    both = read_policy(settings), load_policy(proposed)
    reports: list[Report] = [_Document(limit) if as_json else _Pages(SHOWN if limit is None else limit)]
    if csv_file is not None:
        reports.insert(0, _Spreadsheet(csv_file))

    def on_change(change: "Change") -> None:
        for report in reports:
            report.change(change)

    policies, found = run(_compare(settings, both, tenant, on_change))
    for report in reports:
        report.summary(policies, found)


async def _compare(
    settings: "Settings", both: "tuple[Policy, Policy]", tenant: UUID | None, on_change: "Callable[[Change], None]"
) -> "tuple[Policies, PolicyDiff]":
    from services.policy_diff import compare
    from services.policy_diff.comparison import Policies
    from shared.runtime.chunks import count
    from shared.runtime.heads import read_clock

    async with open_database(settings) as database:
        async with database.transaction() as transaction:
            now = await read_clock(transaction)
        policies = Policies(*both, now)
        with progress("comparing", await count(database, tenant)) as advance:
            diff = await compare(
                database,
                policies,
                tenant_id=tenant,
                on_change=on_change,
                on_progress=lambda smbs: advance(smbs, ""),
            )
    return policies, diff


class _Spreadsheet:
    """All changes as CSV, written as they are found. Raises CommandFailed when the file can't be written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._named():
            self._opened = file.open("w", encoding="utf-8", newline="")
            self._rows = csv.writer(self._opened)
            self._rows.writerow(COLUMNS)

    def change(self, change: "Change") -> None:
        from services.records.imports.refusals import shown

        row = _row(change) | {"business_name": shown(change.business_name)}
        with self._named():
            self._rows.writerow(row.values())

    def summary(self, _policies: "Policies", _diff: "PolicyDiff") -> None:
        with self._named():
            self._opened.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandFailed(f"{self._file} can't be written: {error.strerror}") from None


class _Document:
    """One JSON document, printed piece by piece: a million changes need no memory."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._between = '{"changes": [\n'

    def change(self, change: "Change") -> None:
        if self._left == 0:
            return
        self._left = None if self._left is None else self._left - 1
        sys.stdout.write(self._between + json.dumps(_row(change), default=plain, ensure_ascii=False))
        self._between = ",\n"

    def summary(self, policies: "Policies", diff: "PolicyDiff") -> None:
        from services.policy_diff import differing_settings

        document = {
            "as_of": policies.now.date(),
            "present_version": policies.present.version,
            "proposed_version": policies.proposed.version,
            "settings": [one._asdict() for one in differing_settings(policies.present, policies.proposed)],
            "smbs": diff.smbs,
            "other_scores": diff.other_scores,
            "other_tiers": diff.other_tiers,
            "present_mean_score": diff.present_mean,
            "proposed_mean_score": diff.proposed_mean,
            "mean_score_change": diff.proposed_mean - diff.present_mean,
            "tiers": [
                {"present_tier": present, "proposed_tier": proposed, "smbs": smbs}
                for (present, proposed), smbs in sorted(diff.tiers.items())
            ],
        }
        nothing = self._between if self._between.startswith("{") else "\n"
        sys.stdout.write(f"{nothing}],\n{json.dumps(document, default=plain, indent=2, ensure_ascii=False)[2:]}\n")


class _Pages:
    """Tables for people, with the first changes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._listed: list[Change] = []
        self._changes = 0

    def change(self, change: "Change") -> None:
        self._changes += 1
        if len(self._listed) < self._limit:
            self._listed.append(change)

    def summary(self, policies: "Policies", diff: "PolicyDiff") -> None:
        from services.policy_diff import differing_settings

        present, proposed, now = policies
        say(f"policy {present.version} → {proposed.version}, as of {now:%Y-%m-%d} (UTC)")
        settings = differing_settings(present, proposed)
        say()
        table("Settings that differ", ("setting", "present", "proposed"), settings)
        say()
        names = [(rule.tier, f"{rule.tier} {rule.name}") for rule in present.tiers]
        table(
            "SMBs by tier, present down, proposed across",
            ("tier", *(f"{rule.tier} {rule.name}" for rule in proposed.tiers)),
            [(name, *(diff.tiers[before, after] for after, _ in names)) for before, name in names],
        )
        say()
        change = diff.proposed_mean - diff.present_mean
        say(f"{diff.smbs} SMBs: {diff.other_tiers} in another tier, {diff.other_scores} with another score")
        say(f"mean score {diff.present_mean:.2f} → {diff.proposed_mean:.2f} ({change:+.2f})")
        if self._listed:
            say()
            table(None, ("tenant", "SMB", "name", "tier", "score"), [_line(one) for one in self._listed])
        if self._changes > len(self._listed):
            say(f"… and {self._changes - len(self._listed)} more: see --limit and --csv")


def _line(one: "Change") -> tuple[object, ...]:
    tiers, scores = zip(one.present[::-1], one.proposed[::-1], strict=True)
    return (*one.smb, one.business_name, *(f"{before} → {after}" for before, after in (tiers, scores)))


def _row(change: "Change") -> dict[str, object]:
    """One change under the names of COLUMNS, in their order."""
    return dict(
        zip(
            COLUMNS,
            (
                change.smb.tenant_id,
                change.smb.smb_id,
                change.business_name,
                change.stored_tier,
                change.present.tier,
                change.proposed.tier,
                change.present.score,
                change.proposed.score,
            ),
            strict=True,
        )
    )
