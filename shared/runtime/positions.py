"""Where each group stands in each partition: the database's rows, Kafka's committed offsets and the log's ends."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from shared.runtime import progress
from shared.runtime.database import Database
from shared.runtime.errors import RuntimeTrouble
from shared.runtime.kafka import client_options
from shared.runtime.settings import Settings

# A new cluster makes its offsets topic when it is first asked, and says so for a moment.
_NOT_YET = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class GroupIsActive(RuntimeTrouble):
    """Positions of a group can be changed only while none of its workers runs."""


@dataclass(frozen=True, slots=True)
class Position:
    """One group in one partition. `committed` is None before the first commit, `row` before the first batch."""

    group: str
    partition: TopicPartition
    row: int | None
    committed: int | None
    log_start: int
    log_end: int

    @property
    def lag(self) -> int:
        """Records that the group has not finished."""
        return max(0, self.log_end - max(self.committed or 0, self.log_start))

    @property
    def lost(self) -> int:
        """Records that retention deleted before the group had read them.

        The row says how far it had come, where there is one; a group that never came anywhere has lost nothing.
        """
        reached = self.committed if self.row is None else self.row
        return 0 if reached is None else max(0, self.log_start - reached)

    @property
    def is_past_the_end(self) -> bool:
        """The group has finished records that the log does not have: the topic was created anew, or lost its end."""
        return self.row is not None and self.row > self.log_end


def require_none_behind(positions: Iterable[Position]) -> None:
    """Raise DatabaseWentBack when a row stands before what Kafka has committed for its group."""
    for one in positions:
        if one.committed is not None:
            rows = {} if one.row is None else {one.partition: one.row}
            progress.require_not_behind(one.group, rows, {one.partition: one.committed})


class Positions:
    """Reads and sets positions. An async context manager that holds two connections to Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AIOKafkaAdminClient(**client_options(settings))
        # It learns of one topic at a time and rests in between, for 0.1 s unless told otherwise: a second for all.
        self._logs = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, retry_backoff_ms=10)

    async def __aenter__(self) -> Self:
        await self._admin.start()
        try:
            await self._logs.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._logs.stop()
        await self._admin.close()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of those topics that exist."""
        wanted = set(topics)
        described = await self._admin.describe_topics(sorted(wanted & set(await self._admin.list_topics())))
        return sorted(
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        )

    async def read(self, database: Database, groups: Mapping[str, Iterable[str]]) -> list[Position]:
        """Read where `groups` (name -> topics) stand."""
        found: list[Position] = []
        for group, topics in groups.items():
            partitions = await self.partitions(topics)
            # Kafka first, the rows after it: a row is written before its offset is committed, so this order never
            # makes a healthy group look as if its row were behind.
            committed = await self.committed(group)
            async with database.begin() as connection:
                rows = await progress.read(connection, group)
            starts = await self._logs.beginning_offsets(partitions) if partitions else {}
            ends = await self._logs.end_offsets(partitions) if partitions else {}
            found += [
                Position(group, one, rows.get(one), committed.get(one), starts[one], ends[one]) for one in partitions
            ]
        return found

    async def require_stopped(self, groups: Iterable[str]) -> None:
        """Raise GroupIsActive when a worker of one of these groups runs, or was killed a moment ago."""
        active = set()
        for group in groups:
            # One at a time: aiokafka 0.14 misreads an answer about several groups.
            (answer,) = await _until_there_is_a_coordinator(self._admin.describe_consumer_groups, [group])
            for _, name, _, _, _, members, *_ in answer.groups:
                if members:
                    active.add(name)
        if active:
            seconds = self._settings.kafka_session_timeout_seconds
            message = (
                f"workers of {', '.join(sorted(active))} are running: stop them first (one that was killed counts as "
                f"running for {seconds} s)"
            )
            raise GroupIsActive(message)

    async def at(self, partitions: Sequence[TopicPartition], moment: datetime) -> dict[TopicPartition, int]:
        """The offset of each partition's first record at or after `moment`; its end where there is none."""
        if not partitions:
            return {}
        milliseconds = max(0, int(moment.timestamp() * 1000))
        found = await self._logs.offsets_for_times(dict.fromkeys(partitions, milliseconds))
        ends = await self._logs.end_offsets(partitions)
        return {one: found[one].offset if found.get(one) else ends[one] for one in partitions}

    async def rewind(self, group: str, topics: Iterable[str], to: datetime) -> dict[TopicPartition, int]:
        """Let `group` read again from the first record at or after `to`; returns the new positions.

        Never forward: what was not read yet must not be skipped. A partition in which the group has no position is
        read from its beginning anyway. Raises GroupIsActive while a worker of the group runs.
        """
        partitions = await self.partitions(topics)
        committed = await self.committed(group)
        wanted = await self.at(partitions, to)
        targets = {one: min(wanted[one], committed[one]) for one in partitions if one in committed}
        await self.set(group, targets)
        return targets

    async def set(self, group: str, targets: Mapping[TopicPartition, int]) -> None:
        """Let `group` go on at these offsets. Raises GroupIsActive while a worker of the group runs."""
        if not targets:
            return
        consumer = AIOKafkaConsumer(**client_options(self._settings), group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(list(targets))
            await consumer.commit(dict(targets))
        except KafkaError as error:
            message = f"group {group} has running workers: stop them first ({type(error).__name__})"
            raise GroupIsActive(message) from error
        finally:
            await consumer.stop()

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """What Kafka has committed for a group; partitions without a committed offset are left out."""
        offsets = await _until_there_is_a_coordinator(self._admin.list_consumer_group_offsets, group)
        return {partition: entry.offset for partition, entry in offsets.items() if entry.offset >= 0}


async def _until_there_is_a_coordinator(ask: Callable[[Any], Awaitable[Any]], about: object) -> Any:  # noqa: ANN401  aiokafka has no types
    """Ask Kafka about a group, again for up to 15 s while a new cluster says that it has no coordinator yet."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(_NOT_YET), stop=stop_after_delay(15), wait=wait_fixed(0.2), reraise=True
    )
    return await attempts(ask, about)
