"""The floor: the same events, already decoded, only inserted, in batches of 5,000 that are each committed.

`python -m benchmarks.floor` is one of its processes. The statement is the service's own, into a copy of the table with
the same history, partitions and indexes.
"""

import asyncio
import re
from datetime import UTC, datetime
from time import perf_counter

import asyncpg

from benchmarks.processes import answer, arguments, tell_ready_and_wait
from benchmarks.stage import Installation, Stage
from benchmarks.traffic import Mix, in_store_order, records, rows
from services.engagement.store import INSERT_EVENTS, EventRow

BATCH_EVENTS = 5_000


async def events_per_second(stage: Stage, installation: Installation, processes: int, mix: Mix) -> float:
    """Insert the events of a mix with so many processes, which share them by partition as workers do."""
    await installation.connection.execute("CHECKPOINT")
    running = [
        stage.processes.contestant("floor", url=installation.url, mix=mix, process=number, processes=processes)
        for number in range(processes)
    ]
    await asyncio.gather(*(one.ready() for one in running))
    for one in running:
        one.begin()
    seconds = await asyncio.gather(*(one.result() for one in running))
    await stage.processes.end(*running)
    return mix.events / max(seconds)


def statement() -> str:
    """The service's INSERT with asyncpg's placeholders, into the copied table."""
    places = {name: f"${number}" for number, name in enumerate((*EventRow._fields, "now"), 1)}
    into_copy = str(INSERT_EVENTS.text).replace("engagement_events", "copied_events")
    return re.sub(r":(\w+)", lambda found: places[found[1]], into_copy)


async def insert(url: str, mix: Mix, process: int, processes: int) -> None:
    """Prepare this process's batches, wait, insert them, and answer with the seconds it took."""
    mine = list(rows(one for one in records(mix) if one.partition % processes == process))
    batches = [
        [list(column) for column in zip(*sorted(mine[start : start + BATCH_EVENTS], key=in_store_order), strict=True)]
        for start in range(0, len(mine), BATCH_EVENTS)
    ]
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    prepared = await connection.prepare(statement())
    now = datetime.now(UTC)
    tell_ready_and_wait()
    began = perf_counter()
    for columns in batches:
        async with connection.transaction():
            await prepared.fetch(*columns, now)
    seconds = perf_counter() - began
    await connection.close()
    answer(seconds)


if __name__ == "__main__":
    given = arguments()
    asyncio.run(insert(given["url"], Mix(*given["mix"]), given["process"], given["processes"]))
