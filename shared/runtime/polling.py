"""Polling that loses nothing when the Kafka client meets a record that it can't read.

The client takes records of several partitions at once. An error in the middle of that (a header name that is not
UTF-8, a broken batch) throws away what it had taken already, although its positions have moved on: going on would
commit past records that nobody has seen. So the line stops instead, loudly, with everything still in Kafka.
"""

import asyncio
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError, UnsupportedCodecError
from faststream.kafka import KafkaBroker

from shared.runtime.errors import one_line
from shared.runtime.line import UNREADABLE, Line

_UNREADABLE = (CorruptRecordException, UnsupportedCodecError)


class PollingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer that stops the line where the client's own would go on past records."""

    def __init__(self, line: Line, **options: Any) -> None:  # noqa: ANN401  aiokafka's own
        super().__init__(**options)
        self._line = line

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        """Return the next records. Where they can't be read, wait for the shutdown and raise ConsumerStoppedError."""
        try:
            found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = await super().getmany(
                *partitions, timeout_ms=timeout_ms, max_records=max_records
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, KafkaError | ConsumerStoppedError) and not isinstance(error, _UNREADABLE):
                raise  # trouble with the broker, between polls: nothing was taken
            held = ", ".join(f"{one.topic}[{one.partition}]" for one in sorted(self.assignment()))
            self._line.stop(
                UNREADABLE,
                f"the Kafka client can't read a record of one of {held}: {one_line(error)}. Nothing was skipped; see"
                " `smb-crm positions list` for where it stands still",
            )
            await self._line.shutting_down.wait()
            raise ConsumerStoppedError from error
        return found


def poll_carefully(broker: KafkaBroker, line: Line) -> None:
    """Let the consumers of a connected broker be careful ones; to be called before it starts."""
    config = broker.config.broker_config
    options: dict[str, Any] = getattr(config.builder, "keywords", {})
    config.builder = partial(PollingConsumer, line, **options)
