"""The commands put together, and what becomes of an error: one line on stderr and exit code 1."""

import sys

import typer

from services.cli import worker
from shared.runtime.errors import RuntimeTrouble, one_line

app = typer.Typer(name="smb-crm", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("worker")(worker.worker)


@app.callback()
def describe() -> None:
    """Engagement scores, tiers and 90-day campaigns out of events."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    try:
        app()
    except RuntimeTrouble as error:
        sys.stderr.write(f"smb-crm: {one_line(error).partition(': ')[2]}\n")
        sys.exit(1)
