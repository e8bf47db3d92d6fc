"""From a polled batch to its acknowledgement: decode, apply, retry, split, park, acknowledge.

This never raises and never returns before everything in the batch is settled, unless the process shuts down or the
line is stopped: what was not committed is then delivered again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from shared.runtime import line as lines
from shared.runtime import metrics
from shared.runtime.batch import Batches, Received, Record, Settled, next_offsets
from shared.runtime.dead_letters import DeadLetter
from shared.runtime.errors import (
    DatabaseWentBack,
    LineStopped,
    Reconnected,
    Stopping,
    cause_of,
    is_temporary,
    is_too_slow,
    one_line,
    way_of,
)
from shared.runtime.line import Line
from shared.runtime.logs import logger
from shared.runtime.losses import Losses
from shared.runtime.reading import Reader
from shared.schemas.envelope import claimed_identity
from shared.schemas.triggers import Trigger

# How often a single record may fail in our own code before it is parked.
ATTEMPTS = 3
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 10


class Consumer:
    """Settles the batches of one consumer group, one after another."""

    def __init__(
        self,
        batches: Batches,
        reader: Reader,
        line: Line,
        compare: Callable[[], Awaitable[None]],
        losses: Losses,
    ) -> None:
        self.batches = batches
        self._compare = compare
        self._losses = losses
        self.reader = reader
        self.line = line
        self.busy = asyncio.Lock()
        self.working_since: float | None = None
        self.in_trouble = False

    async def process(self, records: Sequence[Record], consumer: AIOKafkaConsumer) -> None:
        """Settle one batch: afterwards every record of it is applied, repeated, refused, erased or parked."""
        async with self.busy:
            self.working_since = monotonic()
            try:
                self._require_running()
                await self._learn_acknowledged(records, consumer)
                received = self.reader.read(records)
                with metrics.BATCH_SECONDS.labels(self.batches.service).time():
                    await self._settle(received)
                await self._acknowledge(received, consumer)
            except DatabaseWentBack as error:
                self.line.stop(lines.DATABASE_WENT_BACK, str(error))
            except (LineStopped, Stopping):
                pass  # nothing of what is left was acknowledged: it is delivered again
            except Exception as error:  # noqa: BLE001  an error that left would let FastStream go on past this batch
                logger().error("unexpected error around a batch", error=one_line(error), way=way_of(error))
                self.line.stop(lines.UNEXPECTED, f"an error that nobody expected, see the log: {one_line(error)}")
            finally:
                self.working_since = None
        if self.line.stopped_because is not None:
            await self.line.shutting_down.wait()

    def forget(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions went to another member: what was acknowledged for them is no longer ours to know."""
        for partition in partitions:
            self.batches.acknowledged.pop(partition, None)

    async def _settle(self, received: list[Received]) -> None:
        """Apply everything, in halves where the whole does not go, and park what fails alone.

        Halves keep the order within each partition, so the progress of a half is true.
        """
        waiting = deque(_apart(received))
        while waiting:
            part = waiting.popleft()
            try:
                settled = await self._persist(part)
            except (DatabaseWentBack, LineStopped, Stopping):
                raise
            except Exception as error:  # noqa: BLE001  any failure of our own code: find the record that causes it
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting.extendleft((part[middle:], part[:middle]))
                    logger().warning("batch failed and is halved", records=len(part), error=one_line(error))
                    continue
                settled = await self._try_alone(part[0], error)
            self._count(settled)

    async def _persist(self, part: list[Received]) -> Settled:
        """Apply a part; temporary trouble is retried for ever, with jittered backoff, while readiness is red."""
        # Tenacity's object lives until garbage is collected: it must not hold the batch.
        can_be_halved = len(part) > 1
        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: is_temporary(error) and not (is_too_slow(error) and can_be_halved)),
            wait=wait_exponential_jitter(multiplier=FIRST_BACKOFF_SECONDS, max=LONGEST_BACKOFF_SECONDS),
            sleep=self.line.pause,
            before_sleep=self._report_trouble,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                settled = await self._apply(part)
        self.in_trouble = False
        if any(one.input is not None for one in part):
            self.line.succeeded(self.batches.consumer_group)
        return settled

    async def _apply(self, part: list[Received]) -> Settled:
        """Apply a part once; after a new connection first compare the database with what Kafka has acknowledged."""
        while True:
            self._require_running()
            try:
                return await self.batches.apply(part)
            except Reconnected:
                made = self.batches.database.connections_made
                await self._compare()
                self.batches.compared = made

    def _require_running(self) -> None:
        if self.line.stopped_because is not None:
            raise LineStopped(self.line.stopped_because)
        if self.line.shutting_down.is_set():
            raise Stopping

    async def _try_alone(self, received: Received, error: Exception) -> Settled:
        """Try one record until it has failed three times in our own code; then park it."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._persist([received])
            except (DatabaseWentBack, LineStopped, Stopping):
                raise
            except Exception as again:  # noqa: BLE001  counted: the third time parks the record
                error = again
        event_id = received.input.id if received.input else None
        logger().error("record parked after failing", event_id=event_id, error=one_line(error), way=way_of(error))
        letter = DeadLetter(received.record, type(error).__name__, one_line(error), ATTEMPTS)
        settled = await self._persist([Received(received.record, None, letter)])
        self.line.failed(self.batches.consumer_group)
        return settled

    async def _learn_acknowledged(self, records: Sequence[Record], consumer: AIOKafkaConsumer) -> None:
        """Ask Kafka once per assigned partition where this group stands, to notice a database that went back.

        Where a partition goes on further than that, ask for the log's start too, to notice what nobody has read.
        """
        first = {TopicPartition(record.topic, record.partition): record.offset for record in reversed(records)}
        for partition, offset in first.items():
            while True:
                try:
                    await self._learn(partition, offset, consumer)
                    break
                except KafkaError as error:
                    if self.line.shutting_down.is_set():
                        raise Stopping from error
                    self.in_trouble = True
                    metrics.RETRIES.labels(self.batches.service, cause_of(error)).inc()
                    await self.line.pause(1)

    async def _learn(self, partition: TopicPartition, first: int, consumer: AIOKafkaConsumer) -> None:
        acknowledged = self.batches.acknowledged.get(partition)
        if acknowledged is None:
            acknowledged = self.batches.acknowledged[partition] = await consumer.committed(partition) or 0
        if 0 < acknowledged < first:
            # Most gaps are none: the marks of transactions have offsets too.
            starts = await consumer.beginning_offsets([partition])
            self._losses.notice(self.batches.consumer_group, partition, acknowledged, min(first, starts[partition]))

    async def _acknowledge(self, received: Sequence[Received], consumer: AIOKafkaConsumer) -> None:
        """Commit exactly this batch's offsets. A failure does no harm: the records come again and change nothing."""
        offsets = next_offsets(received)
        try:
            await consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            metrics.ACKNOWLEDGE_FAILURES.labels(self.batches.service).inc()
            logger().warning("positions not taken by Kafka", error=one_line(error))
            self.forget(list(offsets))
        else:
            self.batches.acknowledged.update(offsets)

    def _report_trouble(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return
        self.in_trouble = True
        metrics.RETRIES.labels(self.batches.service, cause_of(error)).inc()
        logger().warning("temporary trouble, trying again", attempt=state.attempt_number, error=one_line(error))

    def _count(self, settled: Settled) -> None:
        service, outcome = self.batches.service, settled.outcome
        differing = sum(copy.differs for copy in outcome.copies)
        metrics.APPLIED.labels(service).inc(outcome.applied)
        metrics.REPEATED.labels(service, "same").inc(outcome.repeated - differing)
        metrics.REPEATED.labels(service, "differs").inc(differing)
        metrics.REFUSED.labels(service).inc(outcome.refused)
        metrics.ERASED.labels(service).inc(outcome.erased)
        for letter in settled.parked:
            metrics.DEAD_LETTERS.labels(service, letter.error_class).inc()
            logger().warning(
                "dead letter",
                event_id=claimed_identity(letter.record)[2],
                topic=letter.record.topic,
                partition=letter.record.partition,
                offset=letter.record.offset,
                error_class=letter.error_class,
                reason=letter.reason,
            )


def _apart(received: list[Received]) -> list[list[Received]]:
    """Part a batch so that each trigger stands alone, in order: it plans over all SMBs and holds no head meanwhile."""
    parts: list[list[Received]] = []
    together = False
    for one in received:
        alone = one.input is not None and one.input.smb is None and isinstance(one.input.data, Trigger)
        if alone or not together:
            parts.append([])
        parts[-1].append(one)
        together = not alone
    return parts
