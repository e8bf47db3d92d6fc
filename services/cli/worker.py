"""`smb-crm worker`: run one worker until SIGTERM."""

import asyncio
import os
import signal
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer


class WorkerName(StrEnum):
    """The workers that exist."""

    ENGAGEMENT = "engagement"
    TIER = "tier"
    CAMPAIGN = "campaign"
    RECORDS = "records"


def worker(name: Annotated[WorkerName, typer.Argument(help="Which worker to run.")]) -> None:
    """Run one worker until SIGTERM or Ctrl-C.

    It waits, alive and not ready, while the database or the broker is down. Its port SMB_OPS_PORT answers /livez,
    /readyz, /metrics and /docs. Run as many as you like: they share the partitions.
    """
    # Loading takes a second; who is asked to end meanwhile has nothing to finish. `run` takes the signal over. An
    # exception would not do: Python ignores one that is raised while it cleans an import's lock up.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from shared.runtime.settings import load_settings
    from shared.runtime.worker import run

    built, app = import_module(f"services.{name}.app").build(load_settings())
    asyncio.run(run(built, app))
