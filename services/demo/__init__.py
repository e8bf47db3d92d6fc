"""The demo: real servers, the workers as a user would run them, made-up businesses and what they do.

Owns nothing in the product: it creates SMBs as the records service does, publishes as the other modules do, and reads
`smb.events` as they do. Everything it makes lives in a database and under a topic prefix of its own.
"""

import asyncio
import sys

from services.demo.errors import DemoFailed
from services.demo.stage import Plan
from services.demo.stage import run as run_plan

__all__ = ["DemoFailed", "run"]


def run(*, once: bool, smbs: int = 500, events: int = 20_000, rate: float = 50) -> None:
    """Run the demo: until Ctrl-C in the terminal, or with `once` to its summary. Raises DemoFailed."""
    if not once and not sys.stdout.isatty():
        raise DemoFailed("the live view needs a terminal: use --once (with make: ONCE=1), which prints lines")
    asyncio.run(run_plan(Plan(once, smbs, events, rate)))
