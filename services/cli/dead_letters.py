"""`smb-crm dead-letters`: look at messages that could not be applied, and publish them again."""

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.connections import open_database, run
from services.cli.errors import CommandFailed
from services.cli.output import NOTHING, AsJson, moment, printable_bytes, progress, say, table

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import RowMapping

    from shared.runtime.dead_letters import Which
    from shared.runtime.settings import Settings

# So many letters are read at once: each may be 2 MiB long.
AT_ONCE = 20
SHOWN_CHARACTERS = 20_000
LISTED_REASON_CHARACTERS = 90

app = typer.Typer(no_args_is_help=True, help="Look at messages that could not be applied, and publish them again.")

Service = Annotated[str | None, typer.Option(help="Only letters that this service parked.")]
ErrorClass = Annotated[str | None, typer.Option(help="Only letters of this error class, as `list` shows it.")]


@app.callback()
def dead_letters() -> None:
    """Look at messages that could not be applied, and publish them again."""


@app.command("list")
def list_letters(
    service: Service = None,
    error_class: ErrorClass = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only letters that were never replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first; --json lists all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first.

    A dead letter is a message that can never be applied as it is: it does not decode, or our own code failed on it
    three times. It keeps the original bytes.
    """
    from shared.runtime.dead_letters import Which
    from shared.runtime.settings import load_settings

    which = Which(service, error_class, waiting)
    run(_print_json(load_settings(), which) if as_json else _print_table(load_settings(), which, limit))


@app.command("show")
def show(letter_id: Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one dead letter: where it came from, why it was parked, its headers and its body as text."""
    from shared.runtime.settings import load_settings

    run(_show(load_settings(), letter_id))


@app.command("replay")
def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Which letters, as `list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters that were never replayed.")] = False,
    service: Service = None,
    error_class: ErrorClass = None,
) -> None:
    """Publish letters again, exactly as they came, to the topic they came from, and mark them.

    For letters whose cause is gone: a bug of ours was repaired, an unknown SMB exists by now. What still can't be
    applied is parked again as a new letter. Harmless twice: a message that was applied changes nothing.
    """
    from shared.runtime.dead_letters import Which
    from shared.runtime.settings import load_settings

    if everything == bool(ids):
        raise typer.BadParameter("name the letters by their ids, or say --all")
    if ids and (service or error_class):
        raise typer.BadParameter("--service and --error-class choose among --all; leave them out with ids")
    replayed = run(_replay(load_settings(), ids or [], Which(service, error_class, waiting=True)))
    say(f"{replayed} published again" if replayed else "nothing to replay")


async def _print_json(settings: "Settings", which: "Which") -> None:
    """Page by page, so that any number of letters of any size fits into memory."""
    import json

    from shared.runtime import dead_letters

    before: int | None = None
    opening = "[\n"
    async with open_database(settings) as database:
        while True:
            async with database.transaction() as transaction:
                page = await dead_letters.find(transaction, which, before=before, at_most=AT_ONCE)
            for letter in page:
                typer.echo(opening + json.dumps(_as_json(letter), ensure_ascii=False), nl=False)
                opening = ",\n"
                before = letter["id"]
            if len(page) < AT_ONCE:
                break
    typer.echo("[]" if before is None else "\n]")


async def _print_table(settings: "Settings", which: "Which", limit: int) -> None:
    from shared.runtime import dead_letters

    rows: list[tuple[object, ...]] = []
    before: int | None = None
    async with open_database(settings) as database:
        while len(rows) < limit:
            at_most = min(AT_ONCE, limit - len(rows))
            async with database.transaction() as transaction:
                page = await dead_letters.find(transaction, which, before=before, at_most=at_most)
            rows += [_row(letter) for letter in page]
            if len(page) < at_most:
                break
            before = page[-1]["id"]
    if not rows:
        say("no dead letters")
        return
    table(None, ("id", "parked", "service", "from", "error class", "reason", "replayed"), rows)
    if len(rows) == limit:
        say(f"the newest {limit}; more with --limit")


def _row(letter: "RowMapping") -> tuple[object, ...]:
    reason = letter["reason"]
    return (
        letter["id"],
        moment(letter["parked_at"]),
        letter["service"],
        f"{letter['topic']}[{letter['partition_number']}]@{letter['partition_offset']}",
        letter["error_class"],
        reason if len(reason) <= LISTED_REASON_CHARACTERS else reason[:LISTED_REASON_CHARACTERS] + "…",
        moment(letter["replayed_at"]),
    )


async def _show(settings: "Settings", letter_id: int) -> None:
    from shared.runtime import dead_letters

    async with open_database(settings) as database, database.transaction() as transaction:
        letter = await dead_letters.get(transaction, letter_id)
    if letter is None:
        raise CommandFailed(f"there is no dead letter {letter_id}: see `smb-crm dead-letters list`")
    facts = {
        "id": letter["id"],
        "from": f"{letter['topic']}, partition {letter['partition_number']}, offset {letter['partition_offset']}",
        "its time": moment(letter["message_timestamp"]),
        "group": letter["consumer_group"],
        "parked": f"{moment(letter['parked_at'])} by {letter['service']}, after {letter['attempts']} attempts",
        "replayed": moment(letter["replayed_at"]),
        "error class": letter["error_class"],
        "reason": letter["reason"],
        "tenant": letter["tenant_id"] or NOTHING,
        "SMB": letter["smb_id"] or NOTHING,
        "key": printable_bytes(letter["key"], SHOWN_CHARACTERS),
    }
    for name, value in facts.items():
        say(f"{name:<12} {value}")
    for name, value in letter["headers"]:
        say(f"{'header':<12} {name}: {printable_bytes(dead_letters.from_base64(value), SHOWN_CHARACTERS)}")
    say("body:")
    say(printable_bytes(letter["value"], SHOWN_CHARACTERS))


def _as_json(letter: "RowMapping") -> dict[str, object]:
    """One letter as the contract's `dead-letters list --json` prints it, with these names and no others."""
    from shared.runtime import dead_letters

    return {
        "id": letter["id"],
        "topic": letter["topic"],
        "partition": letter["partition_number"],
        "offset": letter["partition_offset"],
        "timestamp": _iso(letter["message_timestamp"]),
        "key": dead_letters.to_base64(letter["key"]),
        "value": dead_letters.to_base64(letter["value"]),
        "headers": letter["headers"],
        "service": letter["service"],
        "error_class": letter["error_class"],
        "reason": letter["reason"],
        "attempts": letter["attempts"],
        "replayed_at": _iso(letter["replayed_at"]),
    }


def _iso(moment: "datetime | None") -> str | None:
    return None if moment is None else moment.isoformat()


async def _replay(settings: "Settings", ids: list[int], which: "Which") -> int:
    from shared.runtime import dead_letters
    from shared.runtime.replay import replay as publish_again

    async with open_database(settings) as database:
        async with database.transaction() as transaction:
            chosen = await (
                dead_letters.known(transaction, ids) if ids else dead_letters.waiting_ids(transaction, which)
            )
        if missing := sorted(set(ids) - set(chosen)):
            listed = ", ".join(map(str, missing))
            raise CommandFailed(
                f"there is no dead letter {listed}: nothing was replayed; see `smb-crm dead-letters list`"
            )
        with progress("publishing again", len(chosen)) as advance:
            return await publish_again(settings, database, chosen, lambda: advance(1, ""))
