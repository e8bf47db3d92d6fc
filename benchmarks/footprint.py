"""What one worker takes: seconds from its process's start to /readyz 200, and memory after reading events."""

from time import perf_counter

import psutil

from benchmarks.publishing import consumed, publish
from benchmarks.stage import Stage, until
from benchmarks.table import Goal, Row, Series
from benchmarks.throughput import base_installation
from benchmarks.traffic import Mix, records

BYTES_IN_A_MEGABYTE = 1_000_000


async def run(stage: Stage) -> list[Row]:
    """Start a worker, wait until it is ready, let it read events, look at its memory; once per round."""
    base = await base_installation(stage)
    events = stage.sizes.footprint_events
    ready: list[float] = []
    memory: list[float] = []
    for number in range(1, stage.sizes.rounds + 1):
        began = perf_counter()
        worker = stage.processes.worker(base.environment)
        await until(worker.is_ready, stage.processes)
        ready.append(perf_counter() - began)
        target = await consumed(base) + await publish(base, records(Mix(6000 + number, events, stage.sizes.smbs)))

        async def all_are_in(target: int = target) -> bool:
            return await consumed(base) >= target

        await until(all_are_in, stage.processes)
        memory.append(psutil.Process(worker.child.pid).memory_info().rss / BYTES_IN_A_MEGABYTE)
        await stage.processes.end(worker)
        stage.tell(f"  round {number}: ready after {ready[-1]:.2f} s, {memory[-1]:.0f} MB after {events:,} events")
    return [
        Row("footprint", Series(f"resident after {events:,} events", "MB", memory), goal=Goal(at_most=150)),
        Row("footprint", Series("process start to ready", "s", ready), goal=Goal(at_most=2)),
    ]
