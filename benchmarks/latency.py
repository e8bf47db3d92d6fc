"""From publishing an event to reading its announcement, at 500 events/s, beside a plain echo by the same broker."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.data import load_smbs
from benchmarks.processes import BenchmarkFailed
from benchmarks.stage import Installation, Stage, until
from benchmarks.table import Goal, Row, Series
from benchmarks.throughput import base_installation
from benchmarks.traffic import PARTITIONS, Published, record
from shared.runtime.kafka import client_options
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC

EVENTS_PER_SECOND = 500
# The first second fills caches, for both.
WARM_UP_SECONDS = 1
# SMBs that no other benchmark touches, one for each event.
FIRST_SMB = 10_000_000
# Announced to be here while they have no events: whatever comes moves them by more than ten points.
ANNOUNCED_SCORE = 50
ARRIVAL_SECONDS = 30


class Percentiles(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float


async def run(stage: Stage) -> list[Row]:
    """One worker and the echo, in turn."""
    base = await base_installation(stage)
    each = EVENTS_PER_SECOND * (stage.sizes.latency_seconds + WARM_UP_SECONDS)
    await _make_smbs(stage, base, each * stage.sizes.rounds)
    await _make_echo_topics(base)
    ours: list[Percentiles] = []
    echo: list[Percentiles] = []
    for number in range(stage.sizes.rounds):
        echo.append(await _echo(stage, base, _events(FIRST_SMB, each)))
        ours.append(await _ours(stage, base, _events(FIRST_SMB + number * each, each)))
        stage.tell(
            f"  round {number + 1}: p50 {ours[-1].p50:.1f} ms, p99 {ours[-1].p99:.1f} ms; "
            f"echo p50 {echo[-1].p50:.1f} ms, p99 {echo[-1].p99:.1f} ms"
        )
    return [
        Row(
            f"latency at {EVENTS_PER_SECOND}/s",
            Series("event to announcement, p50", "ms", [one.p50 for one in ours]),
            Series("echo, p50", "ms", [one.p50 for one in echo]),
        ),
        Row(
            f"latency at {EVENTS_PER_SECOND}/s",
            Series("event to announcement, p99", "ms", [one.p99 for one in ours]),
            Series("echo, p99", "ms", [one.p99 for one in echo]),
            Goal(at_most=4),
        ),
    ]


async def _ours(stage: Stage, base: Installation, events: Sequence[Published]) -> Percentiles:
    worker = stage.processes.worker(base.environment)
    await until(worker.is_ready, stage.processes)
    measured = await _measure(
        base, events, base.topics.full_name, base.topics.full_name(ANNOUNCEMENTS_TOPIC), "ce_causationid"
    )
    await stage.processes.end(worker)
    return measured


async def _echo(stage: Stage, base: Installation, events: Sequence[Published]) -> Percentiles:
    servers = base.settings.kafka_bootstrap_servers
    process = stage.processes.contestant("echo", bootstrap_servers=servers, source="bench-echo-in", to="bench-echo-out")
    await process.ready()
    measured = await _measure(base, events, lambda _: "bench-echo-in", "bench-echo-out", "ce_id")
    await stage.processes.end(process)
    return measured


async def _measure(
    base: Installation, events: Sequence[Published], name: Callable[[str], str], answers: str, header: str
) -> Percentiles:
    """Publish events at their pace, wait for all answers (matched by a header), return the percentiles."""
    options = client_options(base.settings)
    producer, consumer = AIOKafkaProducer(**options), AIOKafkaConsumer(**options)
    sent: dict[bytes, float] = {}
    arrived: dict[bytes, float] = {}
    await producer.start()
    await consumer.start()
    reading = asyncio.create_task(_read(consumer, header, arrived))
    try:
        partitions = [TopicPartition(answers, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        # Whoever answers has its partitions when the first answer comes.
        await _send(producer, events[:1], name, sent)
        await _wait_for(sent, arrived)
        await _send(producer, events[1:], name, sent)
        await _wait_for(sent, arrived)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await producer.stop()
        await consumer.stop()
    counted = list(sent)[EVENTS_PER_SECOND * WARM_UP_SECONDS :]
    return percentiles([(arrived[id_] - sent[id_]) * 1000 for id_ in counted])


async def _send(
    producer: AIOKafkaProducer, events: Sequence[Published], name: Callable[[str], str], sent: dict[bytes, float]
) -> None:
    began = perf_counter()
    for number, one in enumerate(events):
        await asyncio.sleep(max(0.0, began + number / EVENTS_PER_SECOND - perf_counter()))
        id_ = dict(one.headers)["ce_id"]
        sent[id_] = perf_counter()
        await producer.send(name(one.topic), one.value, key=one.key, partition=one.partition, headers=list(one.headers))


async def _read(consumer: AIOKafkaConsumer, header: str, arrived: dict[bytes, float]) -> None:
    async for message in consumer:
        id_ = dict(message.headers).get(header)
        if id_ is not None:
            arrived.setdefault(id_, perf_counter())


async def _wait_for(sent: dict[bytes, float], arrived: dict[bytes, float]) -> None:
    try:
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while sent.keys() - arrived.keys():  # noqa: ASYNC110  a look now and then costs the reader least
                await asyncio.sleep(0.05)
    except TimeoutError:
        missing = len(sent.keys() - arrived.keys())
        message = f"{missing} of {len(sent)} events had no answer after {ARRIVAL_SECONDS} s"
        raise BenchmarkFailed(message) from None


def percentiles(milliseconds: Iterable[float]) -> Percentiles:
    """The value that half, and that 99 of 100, do not exceed."""
    ordered = sorted(milliseconds)
    return Percentiles(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100])


def _events(first_smb: int, count: int) -> list[Published]:
    now = datetime.now(UTC)
    made = (record("EmailOpened", smb, f"latency-{smb}", smb, now) for smb in range(first_smb, first_smb + count))
    # The echo has no decoder: it is matched by a header, so both carry one.
    return [
        one._replace(headers=(*one.headers, ("ce_id", f"latency-{number}".encode())))
        for number, one in enumerate(made, first_smb)
    ]


async def _make_smbs(stage: Stage, base: Installation, count: int) -> None:
    stage.tell(f"Making {count:,} SMBs, each announced by one event")
    await load_smbs(base.connection, FIRST_SMB, FIRST_SMB + count - 1)
    await base.connection.execute(
        "UPDATE smb_heads SET announced_score = $1 WHERE smb_id IN "
        "(SELECT CAST(md5('smb' || n) AS uuid) FROM generate_series($2::bigint, $3::bigint) AS n)",
        ANNOUNCED_SCORE,
        FIRST_SMB,
        FIRST_SMB + count - 1,
    )
    await base.connection.execute("VACUUM (ANALYZE) smb_heads, smbs")
    await base.connection.execute("CHECKPOINT")


async def _make_echo_topics(base: Installation) -> None:
    admin: Any = AIOKafkaAdminClient(**client_options(base.settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in ("bench-echo-in", "bench-echo-out")])
    finally:
        await admin.close()
