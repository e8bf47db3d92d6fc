"""From raw records to inputs and dead letters, by what one service owns."""

from collections import Counter
from collections.abc import Sequence

from shared.runtime import metrics
from shared.runtime.batch import Received, Record
from shared.runtime.dead_letters import DeadLetter
from shared.schemas.bad_message import BadMessage
from shared.schemas.envelope import decode
from shared.schemas.topics import Service, Topics, accepted_types, parks


class Reader:
    """Decodes the records of one service's subscription."""

    def __init__(self, service: Service, topics: Topics) -> None:
        self.service = service
        self.topics = topics
        self._types: dict[str, frozenset[str]] = {}

    def read(self, records: Sequence[Record]) -> list[Received]:
        """Decode each record by itself, in order: one bad record harms no other."""
        received = [self._read_one(record) for record in records]
        metrics.BATCH_RECORDS.labels(self.service).observe(len(records))
        for topic, count in Counter(record.topic for record in records).items():
            metrics.CONSUMED.labels(self.service, self.topics.short_name(topic)).inc(count)
        passed_over = sum(one.input is None and one.bad is None for one in received)
        metrics.PASSED_OVER.labels(self.service).inc(passed_over)
        return received

    def _read_one(self, record: Record) -> Received:
        try:
            return Received(record, decode(record, self._types_on(record.topic)), None)
        except BadMessage as error:
            if not parks(self.service, self.topics.short_name(record.topic), error):
                return Received(record, None, None)
            return Received(record, None, DeadLetter(record, error.error_class, str(error)))

    def _types_on(self, topic: str) -> frozenset[str]:
        found = self._types.get(topic)
        if found is None:
            found = self._types[topic] = accepted_types(self.service, self.topics.short_name(topic))
        return found
