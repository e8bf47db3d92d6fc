"""`smb-crm worker`: run one worker until SIGTERM."""

import asyncio
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from shared.runtime.settings import load_settings


class WorkerName(StrEnum):
    """The workers that exist."""

    ENGAGEMENT = "engagement"
    TIER = "tier"
    CAMPAIGN = "campaign"


def worker(name: Annotated[WorkerName, typer.Argument(help="Which worker to run.")]) -> None:
    """Run one worker until SIGTERM; it waits, alive and not ready, while the database or the broker is down."""
    from shared.runtime.worker import run  # noqa: PLC0415  other commands start without the worker's libraries

    built, app = import_module(f"services.{name}.app").build(load_settings())
    asyncio.run(run(built, app))
