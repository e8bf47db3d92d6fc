"""`smb-crm demo`: everything at once, on this machine."""

from typing import Annotated

import typer

from services.cli.errors import CommandFailed


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself with a summary, instead of at Ctrl-C.")] = False,
    rate: Annotated[float, typer.Option(min=1, help="Events a second of live traffic.")] = 50,
    smbs: Annotated[int, typer.Option(min=50, hidden=True)] = 500,
    events: Annotated[int, typer.Option(min=100, hidden=True)] = 20_000,
) -> None:
    """Start real servers, all workers and sample traffic on this machine, and watch them work.

    Needs nothing but this program: PostgreSQL and Apache Kafka come with it (where SMB_DATABASE_URL and
    SMB_KAFKA_BOOTSTRAP_SERVERS are set, those servers are used; the demo keeps to a database and topics of its own).
    Ctrl-C stops everything. Data and logs are in .local/demo.
    """
    try:
        from services.demo import run
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"the demo needs the package {error.name}: install smb-crm with the extra `local`"
        ) from None
    run(once=once, smbs=smbs, events=events, rate=rate)
