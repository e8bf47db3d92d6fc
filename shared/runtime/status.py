"""What is under way: lag, outbox, open job runs, dead letters; and waiting until nothing is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from sqlalchemy import text

from shared.runtime import dead_letters, outbox_queue
from shared.runtime.database import Database
from shared.runtime.positions import Positions

OPEN_RUNS = text(
    """
    SELECT name, trigger_id, scheduled_for, status, shards_done, shards_total, received_at, progressed_at
    FROM job_runs WHERE status <> 'finished' ORDER BY received_at
    """,
)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A job run that is not finished. `status` is waiting or running."""

    name: str
    trigger_id: str
    scheduled_for: datetime
    status: str
    shards_done: int
    shards_total: int
    received_at: datetime
    progressed_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """A look at everything that is under way. `lag_records` is per group, over all its partitions."""

    lag_records: dict[str, int]
    lost_records: dict[str, int]
    outbox_messages: int
    outbox_oldest_seconds: float
    open_runs: Sequence[OpenRun]
    dead_letters_waiting: int
    dead_letters_total: int

    @property
    def idle(self) -> bool:
        """Nothing is under way: all read, all published, all jobs finished."""
        return not any(self.lag_records.values()) and not self.outbox_messages and not self.open_runs


async def read_status(database: Database, positions: Positions, groups: Mapping[str, Sequence[str]]) -> Status:
    """Look once at these groups (name -> topics).

    Kafka is asked before the database, so that what a batch is just committing is not missed.
    """
    found = await positions.read(database, groups)
    async with database.transaction() as transaction:
        depth, oldest_seconds = await outbox_queue.depth(transaction)
        runs = (await transaction.execute(OPEN_RUNS)).mappings().all()
        waiting, total = await dead_letters.count(transaction)
    return Status(
        lag_records={group: sum(one.lag for one in found if one.group == group) for group in groups},
        lost_records={group: sum(one.lost for one in found if one.group == group) for group in groups},
        outbox_messages=depth,
        outbox_oldest_seconds=oldest_seconds,
        open_runs=[OpenRun(**run) for run in runs],
        dead_letters_waiting=waiting,
        dead_letters_total=total,
    )


async def wait_idle(
    database: Database,
    positions: Positions,
    groups: Mapping[str, Sequence[str]],
    seconds: float,
    report: Callable[[Status], None] = lambda _: None,
) -> Status:
    """Wait until two looks in a row see nothing under way, or the time is up; returns the last look.

    Each look goes to `report`.

    Two, because a message can leave the outbox of one look before the lag of the next group has seen it.
    """
    until = monotonic() + seconds
    quiet = 0
    while True:
        status = await read_status(database, positions, groups)
        report(status)
        quiet = quiet + 1 if status.idle else 0
        if quiet >= 2 or monotonic() >= until:  # noqa: PLR2004  explained above
            return status
        await asyncio.sleep(0.1)
