"""`smb-crm verify`: whether production stores what the rules say."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.connections import open_database, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, progress, say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.verify import Verification
    from shared.runtime.differences import Difference
    from shared.runtime.settings import Settings


def verify(
    tenant: Annotated[
        UUID | None, typer.Option(help="Only this tenant's SMBs; then nothing is noted for the metric.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many differences; all are counted.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Recompute every score, tier, campaign day, data quality and sequence, and report each difference.

    Reads everything and changes nothing, so it may run beside the workers at any time. Exit code 1 when something
    differs. The result also goes to the metric smb_verify_mismatches.
    """
    from shared.runtime.settings import load_settings

    shown: list[Difference] = []

    def keep(difference: "Difference") -> None:
        if len(shown) < limit:
            shown.append(difference)
            if not as_json:
                say(_line(difference))

    found = run(_verify(load_settings(), tenant, keep))
    if as_json:
        say_json(asdict(found) | {"differences": [_document(one) for one in shown]})
    else:
        _summarise(found, len(shown))
    if found.mismatches:
        raise CommandFailed(
            f"{found.mismatches} differences in {found.smbs_differing} of {found.smbs_checked} SMBs: after a change of "
            "policy run `smb-crm trigger RecalculateEngagementScores` and `RecalculateDataQuality`, else look at "
            "them with `smb-crm trace`"
        )


async def _verify(settings: "Settings", tenant: UUID | None, keep: "Callable[[Difference], None]") -> "Verification":
    from services.verify import verify as compare
    from shared.runtime.chunks import count
    from shared.runtime.worker import read_policy

    policy = read_policy(settings)
    async with open_database(settings) as database:
        with progress("verifying", await count(database, tenant)) as advance:
            return await compare(
                database,
                policy,
                tenant_id=tenant,
                on_difference=keep,
                on_progress=lambda smbs: advance(smbs, ""),
            )


def _line(one: "Difference") -> str:
    return (
        f"{one.kind}: tenant {one.smb.tenant_id} SMB {one.smb.smb_id}: {one.what} is {one.stored}, not {one.computed}"
    )


def _document(one: "Difference") -> dict[str, object]:
    return {
        "tenant_id": one.smb.tenant_id,
        "smb_id": one.smb.smb_id,
        "kind": one.kind,
        "what": one.what,
        "stored": one.stored,
        "computed": one.computed,
    }


def _summarise(found: "Verification", shown: int) -> None:
    if found.mismatches > shown:
        say(f"… and {found.mismatches - shown} more differences; see --limit")
    kinds = ", ".join(f"{kind} {mismatches}" for kind, mismatches in found.mismatches_by_kind.items())
    equal = found.smbs_checked - found.smbs_differing
    seconds = (found.finished_at - found.started_at).total_seconds()
    say(f"{equal} of {found.smbs_checked} SMBs equal a replay of their events ({seconds:.1f} s)")
    say(f"differences: {kinds}")
