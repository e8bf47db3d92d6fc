"""What after-restore does, in an order in which it may break off anywhere and be run again.

The positions come last: until they are set, workers still find the database behind Kafka and stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from aiokafka import TopicPartition

from services.records.erasure import erase
from services.restore import store
from services.restore.store import GroupPartition, Row
from services.restore.story import read_story
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.runtime.positions import Position, Positions
from shared.runtime.settings import Settings
from shared.schemas.identity import SmbKey
from shared.schemas.topics import Topics

# Clocks of brokers and database differ, and what is told is published a little after its commit.
SAFETY = timedelta(minutes=5)
THE_BEGINNING = datetime.fromtimestamp(0, UTC)
ERASED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Restoration:
    """What was done. `backup_by_database` is the latest moment that the database itself knows of, if any."""

    read_since: datetime
    backup_by_database: datetime | None
    epoch: int
    records_to_read_again: int
    records_lost_to_retention: int
    erased_again: Sequence[SmbKey]
    only_readers_know: Sequence[SmbKey]


async def restore(
    settings: Settings, database: Database, positions: Positions, backup_taken_at: datetime | None
) -> Restoration:
    """Put an installation right whose database is a backup's. Raises GroupIsActive while a worker runs.

    Called twice it does no harm: the epoch is raised again, nothing is skipped, nothing is erased or told twice.
    """
    topics = Topics(settings.topic_prefix)
    groups = topics.groups()
    await positions.require_stopped(groups)
    found = await positions.read(database, groups)
    written_at = await store.written_at(database)
    by_database = latest_known(found, written_at)
    since = _since(backup_taken_at, by_database)
    targets = _targets(found, await positions.at([one.partition for one in found], since))

    story = await read_story(settings, positions, since)
    epoch = await store.raise_epoch(database, story.epoch)
    erased = await _erase_again(database, topics, sorted(story.erased))
    told = sorted(story.created - story.erased)
    missing = set(told) - await store.existing(database, told)

    for group in groups:
        here = {partition: offset for (name, partition), offset in targets.items() if name == group}
        rows = {one: Row(offset, written_at.get((group, one), since)) for one, offset in here.items()}
        await store.set_rows(database, group, rows)
        await positions.set(group, here)
    return Restoration(
        read_since=since,
        backup_by_database=by_database,
        epoch=epoch,
        records_to_read_again=sum(
            (one.committed or 0) - max(targets[one.group, one.partition], one.log_start)
            for one in found
            if (one.group, one.partition) in targets
        ),
        records_lost_to_retention=sum(one.lost for one in found),
        erased_again=erased,
        only_readers_know=[key for key in told if key in missing],
    )


def latest_known(positions: Sequence[Position], written_at: Mapping[GroupPartition, datetime]) -> datetime | None:
    """The latest moment before the backup that the rows testify; None where they testify nothing.

    A row that stands behind Kafka was surely written before the backup; any other may have been written since, by a
    worker that found nothing wrong in its partition.
    """
    rows = [one for one in positions if (one.group, one.partition) in written_at]
    behind = [one for one in rows if one.committed is not None and (one.row or 0) < one.committed]
    return max((written_at[one.group, one.partition] for one in behind or rows), default=None)


def _since(backup_taken_at: datetime | None, by_database: datetime | None) -> datetime:
    """The earlier of what the operator and what the database says, and some minutes before that."""
    said = [moment for moment in (backup_taken_at, by_database) if moment is not None]
    return min(said).astimezone(UTC) - SAFETY if said else THE_BEGINNING


def _targets(positions: Sequence[Position], at: Mapping[TopicPartition, int]) -> dict[GroupPartition, int]:
    """Where each group goes on, wherever Kafka holds a position for it; elsewhere it begins at the beginning anyway.

    The row says exactly how far the backup had come, which may lie long before it was taken: a group may have been
    behind. The moment covers a topic that was made anew, whose offsets began again. Never forward.
    """
    targets: dict[GroupPartition, int] = {}
    for one in positions:
        if one.committed is not None:
            row = one.log_start if one.row is None else one.row
            targets[one.group, one.partition] = min(row, at[one.partition], one.committed)
    return targets


async def _erase_again(database: Database, topics: Topics, keys: Sequence[SmbKey]) -> list[SmbKey]:
    """Erase what readers were told to erase; returns those that were not erased in the database."""
    erased: list[SmbKey] = []
    for place in range(0, len(keys), ERASED_AT_ONCE):
        chunk = keys[place : place + ERASED_AT_ONCE]
        outcome = await transact(database, topics, chunk, partial(_erase_all, keys=chunk))
        erased += [announcement.smb for announcement in outcome.announcements]
    return erased


async def _erase_all(transaction: Transaction, now: datetime, *, keys: Sequence[SmbKey]) -> Outcome:
    return await erase(transaction, keys, now)
