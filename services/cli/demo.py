"""`smb-crm demo`: everything at once, on this machine."""

import asyncio
import inspect
from importlib import import_module
from typing import Annotated

import typer

from services.cli.errors import CommandFailed


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself with a summary, instead of at Ctrl-C.")] = False,
) -> None:
    """Start real servers, all workers and sample traffic on this machine, and watch them work.

    Needs nothing but this program: PostgreSQL and Apache Kafka come with it. Ctrl-C stops everything.
    """
    run = getattr(import_module("services.demo"), "run", None)
    if run is None:
        raise CommandFailed("this installation has no demo: run it from a checkout of the repository, with `make demo`")
    running = run(once=once)
    if inspect.iscoroutine(running):
        asyncio.run(running)
