"""Publishes what the demo makes up, and counts what Kafka has taken."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer

from services.demo.events import Message
from services.demo.traffic import Kind, Sample
from shared.runtime.kafka import producer_options
from shared.runtime.settings import Settings
from shared.schemas.topics import Topics

# Acknowledgements are awaited once for so many messages.
SLICE_RECORDS = 500


class Publisher:
    """A producer, for the length of a block. `topics_in` and `kinds_in` count what was acknowledged."""

    def __init__(self, settings: Settings) -> None:
        self._producer = AIOKafkaProducer(**producer_options(settings))
        self._topics = Topics(settings.topic_prefix)
        self.topics_in: Counter[str] = Counter()
        self.kinds_in: Counter[Kind] = Counter()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order, and wait until Kafka has all of them."""
        for first in range(0, len(messages), SLICE_RECORDS):
            part = messages[first : first + SLICE_RECORDS]
            sent = [
                await self._producer.send(
                    self._topics.full_name(one.topic), one.value, key=one.key, headers=one.headers
                )
                for one in part
            ]
            await asyncio.gather(*sent)
            self.topics_in.update(one.topic for one in part)

    async def publish_samples(self, samples: Sequence[Sample]) -> None:
        """Publish traffic; what kind each was is counted too."""
        await self.publish([one.message for one in samples])
        self.kinds_in.update(one.kind for one in samples)
