"""The relay: one process at a time publishes the outbox, oldest first, and deletes exactly what Kafka acknowledged.

Whoever holds a session advisory lock leads. Its connection pings each second and the server ends it after ten silent
ones, so a frozen leader loses the lock. Two leaders for a moment do no harm: they publish the same bytes in the same
order, and readers drop copies by (epoch, sequence).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaProducer
from prometheus_client import Histogram
from tenacity import AsyncRetrying, RetryCallState, retry_if_not_exception_type, wait_exponential_jitter

from shared.runtime import crash_points, metrics, outbox_queue
from shared.runtime.database import Database
from shared.runtime.errors import Stopping, cause_of, one_line
from shared.runtime.kafka import producer_options
from shared.runtime.line import Line
from shared.runtime.logs import logger
from shared.runtime.outbox import CHANNEL
from shared.runtime.settings import Settings

# Any number that no other session lock of this database uses.
LOCK = 0x534D42_4F5554
# How many messages are under way to Kafka at once.
AT_ONCE = 2000
# The net under the notifications, and the pulse of the lock's connection.
POLL_SECONDS = 1.0
IDLE_SESSION_SECONDS = 10


class Relay:
    """Publishes the outbox while this process leads; waits for the lead otherwise."""

    def __init__(self, settings: Settings, database: Database, line: Line) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Lead whenever possible, until the shutdown. Any trouble gives the lead back and starts afresh."""
        attempts = AsyncRetrying(
            retry=retry_if_not_exception_type(Stopping),
            wait=wait_exponential_jitter(multiplier=0.2, max=5),
            sleep=self._line.pause,
            before_sleep=self._report,
        )
        with suppress(Stopping):
            async for attempt in attempts:
                with attempt:
                    await self._campaign()

    async def _campaign(self) -> None:
        """Wait for the lock on a connection of our own, then publish until something breaks or we shut down."""
        if self._line.shutting_down.is_set():
            raise Stopping
        connection = await self._database.raw_connection("smb-crm relay")
        try:
            await connection.execute(f"SET idle_session_timeout = '{IDLE_SESSION_SECONDS}s'")
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                await self._rest(POLL_SECONDS)
            await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
            metrics.RELAY_LEADER.set(1)
            async with self._producer() as producer:
                await self._lead(connection, producer)
        finally:
            metrics.RELAY_LEADER.set(0)
            connection.terminate()

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

        No transaction is open while Kafka is awaited. After any error the producer is thrown away before the outbox
        is read again, so that nothing it still holds can overtake.
        """
        messages = await outbox_queue.oldest(self._database, AT_ONCE)
        if not messages:
            return False
        acknowledgements = [
            await producer.send(message.topic, message.value, key=message.key, headers=message.headers)
            for message in messages
        ]
        await asyncio.gather(*acknowledgements)
        crash_points.reach(crash_points.AFTER_PUBLISH)
        published_at = datetime.now(UTC)
        crash_points.reach(crash_points.BEFORE_DELETE)
        await outbox_queue.delete(self._database, [message.id for message in messages])
        for message in messages:
            metrics.PUBLISHED.labels(message.type).inc()
            _observe(metrics.COMMIT_TO_PUBLISH_SECONDS, message.created_at, published_at)
            if message.caused_at is not None:
                _observe(metrics.EVENT_TO_PUBLISHED_SECONDS, message.caused_at, published_at)
        return True

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(**producer_options(self._settings))
        try:
            await producer.start()
            yield producer
        finally:
            # Not flushed for ever: what was not acknowledged stands in the outbox and is published again.
            with suppress(Exception):
                async with asyncio.timeout(5):
                    await producer.stop()

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
        metrics.RETRIES.labels("relay", cause_of(error)).inc()
        logger().warning("relay starts afresh", attempt=state.attempt_number, error=one_line(error))


def _observe(histogram: Histogram, since: datetime, until: datetime) -> None:
    histogram.observe(max(0.0, (until - since).total_seconds()))
