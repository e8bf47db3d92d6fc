"""All scores anew by two workers, from the trigger to the end of its run, beside a bare UPDATE of the wide rows.

Bare: the rows have their indexes but no CHECK constraints, which it would evaluate for each of them.

`python -m benchmarks.recalculation` is one process of the UPDATE.
"""

import asyncio
from datetime import UTC, datetime
from time import perf_counter

import asyncpg
from aiokafka import AIOKafkaProducer

from benchmarks.data import copy_smbs, load_history, load_smbs, score_all, settle
from benchmarks.processes import answer, arguments, tell_ready_and_wait
from benchmarks.publishing import members
from benchmarks.sizes import EVENTS_PER_RECALCULATED_SMB
from benchmarks.stage import Installation, Stage, until
from benchmarks.table import Goal, Row, Series
from shared.runtime.kafka import client_options
from shared.schemas.encoding import encode
from shared.schemas.topics import SCHEDULE_TOPIC
from shared.schemas.triggers import RecalculateEngagementScores

WORKERS = 2
# The halves of all ids: each process updates one.
BOUNDS = ["00000000-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000000", None]
UPDATE = """
UPDATE copied_smbs SET data_quality_score = (data_quality_score + 1) % 101
WHERE id >= CAST($1 AS uuid) AND (CAST($2 AS uuid) IS NULL OR id < CAST($2 AS uuid))
"""
# As the heads stood before last midnight: the run has to write every one of them.
BACK_TO_YESTERDAY = "UPDATE smb_heads SET engagement_scored_on = CAST(now() AT TIME ZONE 'UTC' AS date) - 1"


async def run(stage: Stage) -> list[Row]:
    """The job and the UPDATE, in turn, each on rows that were vacuumed before."""
    smbs = stage.sizes.recalculated_smbs

    async def fill(installation: Installation) -> None:
        stage.tell(f"Making {smbs:,} SMBs with {EVENTS_PER_RECALCULATED_SMB} events each")
        began = perf_counter()
        await load_smbs(installation.connection, 1, smbs)
        await load_history(installation.connection, smbs, smbs * EVENTS_PER_RECALCULATED_SMB)
        await score_all(installation.connection, installation.database, days_ago=1)
        await copy_smbs(installation.connection)
        await settle(installation.connection)
        stage.tell(f"  made in {perf_counter() - began:.0f} s")

    recalculated = await stage.installation("recalculation", fill)
    ours: list[float] = []
    halves: list[float] = []
    whole: list[float] = []
    for number in range(1, stage.sizes.rounds + 1):
        ours.append(await _recalculate(stage, recalculated, f"bench-{number}"))
        halves.append(await _update(stage, recalculated, [(BOUNDS[0], BOUNDS[1]), (BOUNDS[1], BOUNDS[2])]))
        whole.append(await _update(stage, recalculated, [(BOUNDS[0], BOUNDS[2])]))
        stage.tell(
            f"  round {number}: job {ours[-1]:.1f} s, UPDATE by two {halves[-1]:.1f} s, by one {whole[-1]:.1f} s"
        )
    await stage.drop("recalculation")
    job = Series(f"{smbs:,} SMBs, {WORKERS} workers", "s", ours)
    return [
        Row("recalculation", job, Series("UPDATE, no checks, 2 processes", "s", halves), Goal(at_most=1.5)),
        Row("recalculation", job, Series("UPDATE, no checks, 1 statement", "s", whole)),
    ]


async def _recalculate(stage: Stage, installation: Installation, trigger_id: str) -> float:
    connection = installation.connection
    await connection.execute(BACK_TO_YESTERDAY)
    await connection.execute("VACUUM (ANALYZE) smb_heads")
    await connection.execute("CHECKPOINT")
    workers = [stage.processes.worker(installation.environment) for _ in range(WORKERS)]

    async def all_are_members() -> bool:
        groups = (installation.group, installation.topics.shards_group("engagement"))
        return all([await members(installation, group) == WORKERS for group in groups])

    async def is_finished() -> bool:
        found = await connection.fetchval("SELECT status FROM job_runs WHERE trigger_id = $1", trigger_id)
        return bool(found == "finished")

    await until(all_are_members, stage.processes)
    began = perf_counter()
    await _trigger(installation, trigger_id)
    await until(is_finished, stage.processes)
    seconds = perf_counter() - began
    await stage.processes.end(*workers)
    return seconds


async def _trigger(installation: Installation, trigger_id: str) -> None:
    now = datetime.now(UTC)
    trigger = RecalculateEngagementScores(scheduled_for=now)
    message = encode(trigger, id=trigger_id, time=now, source="/benchmarks")
    producer = AIOKafkaProducer(**client_options(installation.settings))
    await producer.start()
    try:
        topic = installation.topics.full_name(SCHEDULE_TOPIC)
        key = type(trigger).__name__.encode()
        await producer.send_and_wait(topic, message.value, key=key, headers=message.headers)
    finally:
        await producer.stop()


async def _update(stage: Stage, installation: Installation, ranges: list[tuple[str | None, str | None]]) -> float:
    await installation.connection.execute("VACUUM (ANALYZE) copied_smbs")
    await installation.connection.execute("CHECKPOINT")
    running = [
        stage.processes.contestant("recalculation", url=installation.url, first=first, before=before)
        for first, before in ranges
    ]
    await asyncio.gather(*(one.ready() for one in running))
    for one in running:
        one.begin()
    seconds = await asyncio.gather(*(one.result() for one in running))
    await stage.processes.end(*running)
    return float(max(seconds))


async def update(url: str, first: str, before: str | None) -> None:
    """Update one range of ids when told, and answer with the seconds it took."""
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    prepared = await connection.prepare(UPDATE)
    tell_ready_and_wait()
    began = perf_counter()
    await prepared.fetch(first, before)
    seconds = perf_counter() - began
    await connection.close()
    answer(seconds)


if __name__ == "__main__":
    asyncio.run(update(**arguments()))
