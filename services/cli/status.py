"""`smb-crm status`: what is under way."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.connections import open_database, open_positions, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, moment, progress, say, say_json, table

if TYPE_CHECKING:
    from shared.runtime.settings import Settings
    from shared.runtime.status import Status


def status(
    wait_idle: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="Wait until nothing is under way; exit code 1 if that takes longer."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is under way: records to read, messages to publish, open job runs, dead letters."""
    from shared.runtime.settings import load_settings

    found = run(_look(load_settings(), wait_idle))
    if as_json:
        say_json(asdict(found) | {"idle": found.idle})
    else:
        _show(found)
    if wait_idle is not None and not found.idle:
        raise CommandFailed(f"not idle after {wait_idle:g} s: {under_way(found)}; are all workers running?")


async def _look(settings: "Settings", wait_idle_seconds: float | None) -> "Status":
    from shared.runtime.status import read_status, wait_idle
    from shared.schemas.topics import Topics

    groups = Topics(settings.topic_prefix).groups()
    async with open_database(settings) as database, open_positions(settings) as positions:
        if wait_idle_seconds is None:
            return await read_status(database, positions, groups)
        with progress("waiting") as advance:

            def report(status: "Status") -> None:
                advance(0, "idle" if status.idle else under_way(status))

            return await wait_idle(database, positions, groups, wait_idle_seconds, report)


def under_way(status: "Status") -> str:
    """What is not finished, in one line."""
    parts = [f"{group} has {records} records to read" for group, records in status.lag_records.items() if records]
    if status.outbox_messages:
        parts.append(f"{status.outbox_messages} messages wait to be published")
    parts += [f"{one.name} has done {one.shards_done} of {one.shards_total} shards" for one in status.open_runs]
    return ", ".join(parts) or "nothing is under way, but not for long enough to be sure"


def _show(status: "Status") -> None:
    table(
        "Consumer groups",
        ("group", "records to read", "lost to retention"),
        ((group, records, status.lost_records[group]) for group, records in status.lag_records.items()),
    )
    say()
    oldest = f", the oldest for {status.outbox_oldest_seconds:.1f} s" if status.outbox_messages else ""
    say(f"Outbox: {status.outbox_messages} messages wait to be published{oldest}")
    say(f"Dead letters: {status.dead_letters_waiting} not replayed, {status.dead_letters_total} in all")
    if status.open_runs:
        say()
        table(
            "Open job runs",
            ("job", "id", "scheduled for", "state", "shards done", "shards", "last moved"),
            (
                (
                    one.name,
                    one.trigger_id,
                    moment(one.scheduled_for),
                    one.status,
                    one.shards_done,
                    one.shards_total,
                    moment(one.progressed_at),
                )
                for one in status.open_runs
            ),
        )
    say()
    say("Idle: nothing is under way." if status.idle else "Not idle.")
