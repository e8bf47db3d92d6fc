"""Records that Kafka deleted before their group had read them: said loudly, and counted once, whoever notices it.

The watch sees a position that fell behind the log's start. A worker that reads on leaves that position behind within
moments, so the consumer looks too, wherever a partition goes on further than it had come.
"""

from collections.abc import Iterable

from aiokafka import TopicPartition

from shared.runtime import metrics
from shared.runtime.logs import logger
from shared.runtime.positions import Position


class Losses:
    """What one process has noticed since it started; the gauge stays up until somebody starts it afresh."""

    def __init__(self) -> None:
        self._noticed_up_to: dict[tuple[str, TopicPartition], int] = {}

    def look(self, positions: Iterable[Position]) -> None:
        """Notice what these positions have lost."""
        for one in positions:
            metrics.LOST_RECORDS.labels(one.group).inc(0)
            self.notice(one.group, one.partition, one.log_start - one.lost, one.log_start)

    def notice(self, group: str, partition: TopicPartition, first: int, end: int) -> None:
        """Notice that the records from `first` to before `end` were deleted unread; nothing when there are none."""
        first = max(first, self._noticed_up_to.get((group, partition), 0))
        if first >= end:
            return
        self._noticed_up_to[group, partition] = end
        metrics.LOST_RECORDS.labels(group).inc(end - first)
        logger().error(
            "retention deleted records that nobody had read",
            group=group,
            topic=partition.topic,
            partition=partition.partition,
            first=first,
            records=end - first,
        )
