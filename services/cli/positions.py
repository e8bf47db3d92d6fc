"""`smb-crm positions`: where each group stands in each partition."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.connections import open_database, open_positions, rfc_3339, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, moment, say, say_json, table

if TYPE_CHECKING:
    from shared.runtime.positions import Position
    from shared.runtime.settings import Settings
    from shared.schemas.topics import Topics

app = typer.Typer(no_args_is_help=True, help="See how far each group has read, and let groups read again.")


@app.callback()
def positions() -> None:
    """See how far each group has read, and let groups read again."""


@app.command("list")
def list_positions(as_json: AsJson = False) -> None:
    """List where each group stands in each partition.

    `committed` is where Kafka lets the group go on, `database` how far its work is in the database: never behind,
    unless the database was restored from a backup.
    """
    from shared.runtime.settings import load_settings

    found = run(_read(load_settings()))
    if as_json:
        say_json([_document(one) for one in found])
        return
    rows = (_document(one).values() for one in found)
    names = ("group", "topic", "partition", "database", "committed", "log start", "log end", "to read", "lost")
    table(None, names, [list(row) for row in rows])


@app.command("rewind")
def rewind(
    to: Annotated[
        datetime,
        typer.Option(parser=rfc_3339, metavar="RFC3339", help="Read again what reached Kafka from this time on."),
    ],
    group: Annotated[
        list[str] | None, typer.Option(help="Only this group, as `list` shows it; may be repeated. Default: all.")
    ] = None,
) -> None:
    """Let groups read again from a time on.

    Harmless: whatever was applied before changes nothing. Never moves a group forward. All workers of these groups
    must be stopped.
    """
    from shared.runtime.settings import load_settings

    moved = run(_rewind(load_settings(), group or [], to))
    say(f"{moved} records will be read again, those that reached Kafka since {moment(to)}")


async def _read(settings: "Settings") -> "list[Position]":
    from shared.schemas.topics import Topics

    async with open_database(settings) as database, open_positions(settings) as positions:
        return await positions.read(database, Topics(settings.topic_prefix).groups())


async def _rewind(settings: "Settings", groups: list[str], to: datetime) -> int:
    from shared.schemas.topics import Topics

    chosen = _choose(Topics(settings.topic_prefix), groups)
    records = 0
    async with open_positions(settings) as positions:
        await positions.require_stopped(chosen)
        for group, topics in chosen.items():
            before = await positions.committed(group)
            after = await positions.rewind(group, topics, to)
            records += sum(before[one] - after[one] for one in after)
    return records


def _choose(topics: "Topics", groups: list[str]) -> dict[str, list[str]]:
    """The named groups, or all. Raises CommandFailed for one that there is not."""
    known = topics.groups()
    if unknown := [group for group in groups if group not in known]:
        raise CommandFailed(f"there is no group {', '.join(unknown)}, only {', '.join(known)}")
    return {group: known[group] for group in groups} if groups else known


def _document(one: "Position") -> dict[str, object]:
    return {
        "group": one.group,
        "topic": one.partition.topic,
        "partition": one.partition.partition,
        "database": one.row,
        "committed": one.committed,
        "log_start": one.log_start,
        "log_end": one.log_end,
        "lag": one.lag,
        "lost": one.lost,
    }
