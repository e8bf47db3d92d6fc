"""The commands put together, and what becomes of an error: one line on stderr and exit code 1.

Nothing heavy is imported here: each command imports what it needs when it runs.
"""

import logging
import sys
from typing import Annotated

import typer

from services.cli import (
    api,
    dead_letters,
    demo,
    migrate,
    policy,
    positions,
    restore,
    schemas,
    settings,
    status,
    topics,
    trace,
    trigger,
    verify,
    worker,
)
from services.cli.errors import explain

TRY_IT = "Try it"
SET_UP = "Set up"
RUN = "Run"
LOOK = "Look"
PUT_RIGHT = "Put right"

app = typer.Typer(
    name="smb-crm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", rich_help_panel=TRY_IT)(demo.demo)
app.command("settings", rich_help_panel=SET_UP)(settings.settings)
app.command("migrate", rich_help_panel=SET_UP)(migrate.migrate)
app.command("topics", rich_help_panel=SET_UP)(topics.topics)
app.add_typer(policy.app, name="policy", rich_help_panel=SET_UP)
app.command("schemas", rich_help_panel=SET_UP)(schemas.schemas)
app.command("worker", rich_help_panel=RUN)(worker.worker)
app.command("api", rich_help_panel=RUN)(api.api)
app.command("token", rich_help_panel=RUN)(api.token)
app.command("trigger", rich_help_panel=RUN)(trigger.trigger)
app.command("status", rich_help_panel=LOOK)(status.status)
app.command("verify", rich_help_panel=LOOK)(verify.verify)
app.command("trace", rich_help_panel=LOOK)(trace.trace)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=PUT_RIGHT)
app.add_typer(positions.app, name="positions", rich_help_panel=PUT_RIGHT)
app.command("after-restore", rich_help_panel=PUT_RIGHT)(restore.after_restore)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"smb-crm {version('smb-crm')}")
        raise typer.Exit


@app.callback()
def describe(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Engagement scores, tiers and 90-day campaigns out of events.

    Everything is set by environment variables: see `smb-crm settings`.

    Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage.
    """


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    # The libraries' own complaints would come before our one line; a worker sets up its logs by itself.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        app(prog_name="smb-crm")
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        sys.stderr.write(f"smb-crm: {line}\n")
        sys.exit(1)
