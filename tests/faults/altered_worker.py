"""The engagement worker as a bad deploy or a short-tempered server would have it; run as a real process.

`ALTERED` names what is different; everything else is the product.
"""

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from services.engagement import app
from services.engagement.handler import EngagementHandler
from shared.runtime import database
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.runtime.settings import load_settings
from shared.runtime.worker import run
from shared.schemas.envelope import Input

PROGRAM = "tests.faults.altered_worker"
BROKEN = "broken"
FAILS_ON_ONE = "fails_on_one"
SLOW = "slow"
IMPATIENT = "impatient"
# What the marked record says, where it says it.
MARK = "this one breaks the handler"
# A batch of more than 40 takes longer than the limit.
SECONDS_FOR_EACH = 0.025
LIMIT = timedelta(seconds=1)
IDLE_LIMIT = timedelta(seconds=3)


class Broken(EngagementHandler):
    """Fails on everything."""

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Do the work and then fail, so that there is something to roll back."""
        await super().handle(transaction, inputs, now)
        raise ZeroDivisionError("a release that nobody tried")


class FailsOnOne(EngagementHandler):
    """Fails whenever a marked record is among the inputs."""

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Do the work and then fail, if the marked record is there."""
        outcome = await super().handle(transaction, inputs, now)
        if any(getattr(one.data, "message_id", None) == MARK for one in inputs):
            raise ZeroDivisionError("the marked record\0")
        return outcome


class Slow(EngagementHandler):
    """Takes its time for each record, in the database."""

    async def handle(self, transaction: Transaction, inputs: Sequence[Input], now: datetime) -> Outcome:
        """Wait in one statement, as a slow query does."""
        await transaction.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": SECONDS_FOR_EACH * len(inputs)})
        return await super().handle(transaction, inputs, now)


HANDLERS = {BROKEN: Broken, FAILS_ON_ONE: FailsOnOne, SLOW: Slow, IMPATIENT: EngagementHandler}


def main() -> None:
    """Run it like `smb-crm worker engagement`."""
    altered = os.environ["ALTERED"]
    setattr(app, "EngagementHandler", HANDLERS[altered])  # noqa: B010  the app's own import, exchanged
    if altered == SLOW:
        database.TIMEOUTS += f"; SET statement_timeout = '{LIMIT.total_seconds():.0f}s'"
    if altered == IMPATIENT:
        database.TIMEOUTS += f"; SET idle_in_transaction_session_timeout = '{IDLE_LIMIT.total_seconds():.0f}s'"
    worker, asgi = app.build(load_settings())
    asyncio.run(run(worker, asgi))


if __name__ == "__main__":
    main()
