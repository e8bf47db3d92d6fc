"""`python -m benchmarks`: run benchmarks and print the table."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
from aiokafka.errors import KafkaError
from rich.console import Console

from benchmarks import api, footprint, importing, latency, recalculation, throughput
from benchmarks.processes import BenchmarkFailed
from benchmarks.report import Report
from benchmarks.sizes import DEFAULT, FULL, TRIAL, Sizes
from benchmarks.stage import Stage, server_settings, servers, stage
from benchmarks.table import Row
from deploy.local import LocalStackError, Stack

Benchmark = Callable[[Stage], Awaitable[list[Row]]]

BENCHMARKS: dict[str, tuple[Benchmark, str]] = {
    "throughput": (throughput.run, "events per second, beside bare inserts and beside a plain ORM worker"),
    "hot": (throughput.run_hot, "the same with one SMB that has a very long window and a fifth of the traffic"),
    "history": (throughput.run_history, "the same with ten times the history"),
    "latency": (latency.run, "from an event to its announcement, beside a plain echo"),
    "recalculation": (recalculation.run, "all scores anew, beside a bare UPDATE of the wide rows"),
    "api": (api.run, "the API under load, beside SELECT 1 through the same application"),
    "import": (importing.run, "a file uploaded and applied, and again, beside a bare COPY of it; peak memory"),
    "footprint": (footprint.run, "memory of a worker and seconds until it is ready"),
}
INTERRUPTED = 130
TABLE_WIDTH = 150


def main() -> int:
    """Parse the arguments, run, print. Returns the exit code: 0 also when a goal is not met."""
    given = parse()
    # A pipe or a log has no width of its own, and the table is unreadable when it is folded.
    console = Console() if sys.stdout.isatty() else Console(width=TABLE_WIDTH)
    if given.list:
        for name, (_, meaning) in BENCHMARKS.items():
            console.print(f"{name:14} {meaning}")
        return 0
    sizes = FULL if given.full else TRIAL if given.trial else DEFAULT
    names = given.only or list(BENCHMARKS)
    # Topics that were just made have no leader for a moment; the client tries again and tells of it loudly.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Ended from outside, as by Ctrl-C: servers and workers are ended on the way out. Not by what SIGINT does now: a
    # shell lets programs in its background ignore that.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = Report(console, sizes, given.json)
        try:
            with servers(sizes, report.tell) as stack:
                asyncio.run(run(stack, sizes, names, report))
        finally:
            report.close()
    except KeyboardInterrupt:
        console.print("stopped: servers and workers are ended, benchmarks that came to their end are kept")
        return INTERRUPTED
    except (BenchmarkFailed, LocalStackError, asyncpg.PostgresError, KafkaError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        sys.stderr.write(f"benchmarks: {first}\n")
        return 1
    return 0


def parse() -> argparse.Namespace:
    """What is to be done."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure, beside a floor and a plain worker."
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="full sizes: about an hour, or part by part")
    size.add_argument("--trial", action="store_true", help="tiny sizes: shows that it runs, the figures mean nothing")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help="run this one (repeatable)")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep all rounds of each benchmark that came to its end"
    )
    return parser.parse_args()


async def run(stack: Stack, sizes: Sizes, names: Sequence[str], report: Report) -> None:
    """Run these benchmarks one after another."""
    report.servers = await server_settings(stack)
    report.tell(report.servers)
    async with stage(stack, sizes, report.tell) as one_stage:
        for name in names:
            benchmark, meaning = BENCHMARKS[name]
            report.begin(name, meaning)
            report.finish(await benchmark(one_stage))


if __name__ == "__main__":
    sys.exit(main())
