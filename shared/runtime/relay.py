"""The relay: one process at a time publishes the outbox, oldest first, and deletes exactly what Kafka acknowledged.

Whoever holds a session advisory lock leads. Its connection pings each second and the server ends it after ten silent
ones, so a frozen leader loses the lock. Two leaders for a moment do no harm: they publish the same bytes in the same
order, and readers drop copies by (epoch, sequence).

No two messages of one SMB are ever under way at once: a producer may give up one of them and still deliver the next,
and a reader that has seen number 6 drops number 5. So messages go in waves, each with at most one of an SMB.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaProducer
from prometheus_client import Histogram
from tenacity import AsyncRetrying, RetryCallState, retry_if_not_exception_type, wait_exponential_jitter

from shared.runtime import crash_points, metrics, outbox_queue
from shared.runtime.database import Database
from shared.runtime.errors import Stopping, cause_of, one_line
from shared.runtime.kafka import REQUEST_TIMEOUT_MILLISECONDS, producer_options
from shared.runtime.line import Line
from shared.runtime.logs import logger
from shared.runtime.outbox import CHANNEL
from shared.runtime.settings import Settings

# Any number that no other session lock of this database uses.
LOCK = 0x534D42_4F5554
# How many messages are under way to Kafka at once.
AT_ONCE = 2000
# Acknowledgements that take longer are trouble.
SLOW_SECONDS = 10.0
# The net under the notifications, and the pulse of the lock's connection.
POLL_SECONDS = 1.0
IDLE_SESSION_SECONDS = 10
# How long a shutdown waits for a producer that can't deliver any more.
LAST_SECONDS = 5
# How long the next lead waits for it. While a broker is down an idempotent producer never gives up by itself; what it
# sends when the broker is back are copies, which readers drop.
GIVEN_UP_SECONDS = 3 * REQUEST_TIMEOUT_MILLISECONDS / 1000


class Relay:
    """Publishes the outbox while this process leads; waits for the lead otherwise.

    `leads` tells which; `trouble` is why nothing can be published, in one line, or None.
    """

    def __init__(self, settings: Settings, database: Database, line: Line) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._woken = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self.leads = False
        self.trouble: str | None = None

    async def run(self) -> None:
        """Lead whenever possible, until the shutdown. Any trouble gives the lead back and starts afresh."""
        attempts = AsyncRetrying(
            retry=retry_if_not_exception_type(Stopping),
            wait=wait_exponential_jitter(multiplier=0.2, max=5),
            sleep=self._line.pause,
            before_sleep=self._report,
        )
        try:
            with suppress(Stopping):
                async for attempt in attempts:
                    with attempt:
                        await self._end_former_producer(GIVEN_UP_SECONDS)
                        await self._campaign()
        finally:
            await self._end_former_producer(LAST_SECONDS)

    async def _campaign(self) -> None:
        """Wait for the lock on a connection of our own, then publish until something breaks or we shut down."""
        if self._line.shutting_down.is_set():
            raise Stopping
        connection = await self._database.raw_connection("smb-crm relay")
        try:
            await connection.execute(f"SET idle_session_timeout = '{IDLE_SESSION_SECONDS}s'")
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                self.trouble = None  # it is the leader's to publish
                self._woken.clear()  # a notification from a former lead must not make this a loop without rest
                await self._rest(POLL_SECONDS)
            await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
            self._note_lead(leads=True)
            async with self._producer() as producer:
                await self._lead(connection, producer)
        finally:
            self._note_lead(leads=False)
            connection.terminate()

    def _note_lead(self, *, leads: bool) -> None:
        self.leads = leads
        metrics.RELAY_LEADER.set(leads)

    async def _lead(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        pulse = asyncio.create_task(self._pulse(connection))
        try:
            while not pulse.done():
                if self._line.shutting_down.is_set():
                    raise Stopping  # what is left in the outbox is the next leader's
                self._woken.clear()
                if not await self._publish_oldest(producer):
                    await self._rest(POLL_SECONDS)
            await pulse
        finally:
            pulse.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await pulse

    async def _pulse(self, connection: asyncpg.Connection) -> None:
        """Keep the lock's session alive, and end the lead when it is lost."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await connection.execute("SELECT 1", timeout=IDLE_SESSION_SECONDS)

    async def _publish_oldest(self, producer: AIOKafkaProducer) -> bool:
        """Publish the oldest messages and delete them once Kafka has acknowledged all; False when there is none.

        No transaction is open while Kafka is awaited. Any error ends the round before its next wave, and the producer
        is thrown away before the outbox is read again.
        """
        messages = await outbox_queue.oldest(self._database, AT_ONCE)
        if messages:
            for wave in outbox_queue.waves(messages):
                await self._publish(producer, wave)
                crash_points.reach(crash_points.AFTER_PUBLISH)
            crash_points.reach(crash_points.BEFORE_DELETE)
            deleted_at = await outbox_queue.delete(self._database, messages)
            for message in messages:
                metrics.PUBLISHED.labels(message.type).inc()
                _observe(metrics.COMMIT_TO_PUBLISH_SECONDS, message.created_at, deleted_at)
                if message.caused_at is not None:
                    _observe(metrics.EVENT_TO_PUBLISHED_SECONDS, message.caused_at, deleted_at)
        self.trouble = None
        return bool(messages)

    async def _publish(self, producer: AIOKafkaProducer, messages: Sequence[outbox_queue.OutgoingMessage]) -> None:
        """Send messages all at once and wait for Kafka's acknowledgement of each. Raises what any of them raised."""
        acknowledging = asyncio.gather(
            *[
                await producer.send(message.topic, message.value, key=message.key, headers=message.headers)
                for message in messages
            ]
        )
        acknowledged, _ = await asyncio.wait((acknowledging,), timeout=SLOW_SECONDS)
        if not acknowledged:
            self.trouble = f"Kafka has not acknowledged messages for {SLOW_SECONDS:.0f} s"
        await acknowledging

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """A producer that begins to stop at the end, in a task of its own.

        A producer whose `stop` is cancelled keeps its sender and goes on sending, so nobody waits inside that task.
        What was not acknowledged stands in the outbox and is published again.
        """
        producer = AIOKafkaProducer(**producer_options(self._settings))
        try:
            await producer.start()
            yield producer
        finally:
            self._stopping = asyncio.create_task(producer.stop(), name="stopping producer")

    async def _end_former_producer(self, patience_seconds: float) -> None:
        """Wait until the producer of the last lead can't send any more; it is asked to stop, and not interrupted."""
        if self._stopping is None:
            return
        _, late = await asyncio.wait((self._stopping,), timeout=patience_seconds)
        if late:
            logger().error("producer does not stop and is left alone", seconds=patience_seconds)
        elif not self._stopping.cancelled() and (error := self._stopping.exception()) is not None:
            logger().warning("producer did not stop cleanly", error=one_line(error))
        self._stopping = None

    async def _rest(self, seconds: float) -> None:
        """Wait for a commit, but no longer than `seconds`. Raises Stopping at the shutdown."""
        waits = [asyncio.create_task(self._woken.wait()), asyncio.create_task(self._line.shutting_down.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._line.shutting_down.is_set():
            raise Stopping

    def _report(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return
        self.trouble = one_line(error)
        metrics.RETRIES.labels("relay", cause_of(error)).inc()
        logger().warning("relay starts afresh", attempt=state.attempt_number, error=one_line(error))


def _observe(histogram: Histogram, since: datetime, until: datetime) -> None:
    histogram.observe(max(0.0, (until - since).total_seconds()))
