"""One batch, one transaction: the heart of the product.

Everything that a batch does becomes visible at once, by one commit: the state that the handler saved, the identities
of its inputs, the outgoing messages, the dead letters and how far the group has come. Whatever is delivered again
finds its identity and changes nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import copies, crash_points, dead_letters, heads, outbox, progress
from shared.runtime.database import Database, TenantDatabase, Transaction, commit
from shared.runtime.dead_letters import DeadLetter
from shared.runtime.errors import Reconnected
from shared.runtime.outcome import Handler, Outcome
from shared.schemas.bad_message import BadMessage
from shared.schemas.envelope import Input, require_not_ahead
from shared.schemas.identity import SmbKey
from shared.schemas.shards import JobShard
from shared.schemas.topics import Service, Topics, parks

# Kafka's mark of records whose timestamp is the broker's (the other one is the sender's).
LOG_APPEND_TIME = 1

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


@dataclass(frozen=True, slots=True)
class Received:
    """A record and what the decoder made of it: an input, a dead letter, or neither (another service's type)."""

    record: Record
    input: Input | None
    bad: DeadLetter | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a committed batch did."""

    outcome: Outcome
    parked: list[DeadLetter]


@dataclass(slots=True)
class Batches:
    """Applies batches of one consumer group of one service.

    `acknowledged` is what Kafka is known to have committed for the partitions of this process. `compared` counts the
    connections after which the whole database was last compared with Kafka.
    """

    service: Service
    consumer_group: str
    database: Database
    topics: Topics
    handler: Handler
    acknowledged: dict[TopicPartition, int] = field(default_factory=dict)
    compared: int = 0

    async def apply(self, received: Sequence[Received]) -> Settled:
        """Apply all of `received` or nothing. Raises whatever went wrong, with nothing changed.

        Raises Reconnected when a connection was made since the last comparison: a database that was restored from a
        backup shows itself in any partition, and this batch's may have been quiet since then.
        """
        inputs = [one.input for one in received if one.input is not None]
        parked = [one.bad for one in received if one.bad is not None]
        async with self.database.engine.connect() as connection:
            if self.database.connections_made != self.compared:
                raise Reconnected
            locked = await _lock(connection, inputs)
            timely, ahead = self._split_off_ahead(received, locked.now)
            transaction = Transaction(connection, locked.keys, locked.erased, locked.fresh)
            outcome = await self.handler(transaction, timely, locked.now) if timely else Outcome()
            parked += ahead + _rejected(received, outcome)
            await outbox.store(connection, outcome, self.topics, locked)
            group, now = self.consumer_group, locked.now
            await copies.note(connection, outcome.copies, consumer_group=group, now=now)
            bad = len(parked)
            parked = await dead_letters.park(connection, parked, consumer_group=group, service=self.service, now=now)
            outcome.erased += bad - len(parked)
            before = await progress.record(connection, group, next_offsets(received), self.acknowledged, now)
            again = _delivered_again(received, parked, before)
            await dead_letters.withdraw(connection, again, consumer_group=group)
            crash_points.reach(crash_points.BEFORE_COMMIT)
            await commit(connection)
            crash_points.reach(crash_points.AFTER_COMMIT)
        return Settled(outcome, parked)

    def _split_off_ahead(self, received: Sequence[Received], now: datetime) -> tuple[list[Input], list[DeadLetter]]:
        """Part the inputs that lie too far ahead of the moment at which the broker took them.

        So every service, and whoever reads a record again, comes to the same answer. Where the broker does not stamp
        its records (or is ahead itself), the database's clock decides.
        """
        timely: list[Input] = []
        ahead: list[DeadLetter] = []
        for one in received:
            if one.input is None:
                continue
            is_stamped = one.record.timestamp_type == LOG_APPEND_TIME
            try:
                require_not_ahead(one.input, min(now, one.input.arrived_at) if is_stamped else now)
            except BadMessage as error:
                if parks(self.service, self.topics.short_name(one.record.topic), error):
                    ahead.append(DeadLetter(one.record, error.error_class, str(error)))
            else:
                timely.append(one.input)
        return timely, ahead


async def transact(
    database: Database | TenantDatabase,
    topics: Topics,
    keys: Sequence[SmbKey],
    act: Callable[[Transaction, datetime], Awaitable[Outcome]],
    *,
    new: Sequence[SmbKey] = (),
) -> Outcome:
    """Change SMBs outside a batch: lock their heads, run `act`, write its announcements to the outbox, commit.

    Everyone who changes an SMB without a Kafka record in hand comes in here. `new` are further SMBs that most likely
    nobody knows yet. Raises what `act` raises, with nothing changed.
    """
    async with database.connect() as connection:
        locked = await heads.lock(connection, keys, new=new)
        outcome = await act(Transaction(connection, locked.keys, locked.erased, locked.fresh), locked.now)
        await outbox.store(connection, outcome, topics, locked)
        crash_points.reach(crash_points.BEFORE_COMMIT)
        await commit(connection)
        crash_points.reach(crash_points.AFTER_COMMIT)
    return outcome


def next_offsets(received: Sequence[Received]) -> dict[TopicPartition, int]:
    """Where each partition goes on after these records: Kafka's position is always the last offset + 1."""
    last: dict[tuple[str, int], int] = {}
    for one in received:
        record = one.record
        last[record.topic, record.partition] = record.offset  # a partition's records are in the order of offsets
    return {TopicPartition(*partition): offset + 1 for partition, offset in last.items()}


async def _lock(connection: AsyncConnection, inputs: Sequence[Input]) -> heads.Locked:
    """Lock what the inputs are about: their SMBs, or the range of the one shard."""
    if len(inputs) == 1 and isinstance(shard := inputs[0].data, JobShard):
        return await heads.lock_range(connection, shard.first.key, shard.last.key)
    return await heads.lock(connection, (one.smb for one in inputs if one.smb is not None))


def _delivered_again(
    received: Sequence[Received], parked: Sequence[DeadLetter], before: progress.Offsets
) -> list[Record]:
    """Records that this group had settled before and that this batch did not park: what parked them then is repaired.

    A release that fails on everything parks up to a hundred before its line stops, and acknowledges none of them.
    """
    again = [
        one.record
        for one in received
        if one.input is not None
        and one.record.offset < before.get(TopicPartition(one.record.topic, one.record.partition), 0)
    ]
    if not again or not parked:
        return again
    places = {(letter.record.topic, letter.record.partition, letter.record.offset) for letter in parked}
    return [record for record in again if (record.topic, record.partition, record.offset) not in places]


def _rejected(received: Sequence[Received], outcome: Outcome) -> list[DeadLetter]:
    if not outcome.rejected:
        return []
    records = {(one.record.topic, one.record.partition, one.record.offset): one.record for one in received}
    return [DeadLetter(records[one.place], error.error_class, str(error)) for one, error in outcome.rejected]
