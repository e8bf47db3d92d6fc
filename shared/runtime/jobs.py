"""Job runs: a trigger is split into shards (key ranges of SMBs) that travel as messages and finish one by one.

A run's identity is its trigger's (source, id). A shard is one message, one transaction; what it finds done it leaves.
The row of a run is locked last in a shard's transaction, and only for its counters.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.outcome import Copy, Outcome
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.shards import JobShard, shard_of
from shared.schemas.triggers import Trigger

# The ledger of triggers and commands is kept this long; what is older counts as repeated (their topics keep less).
LEDGER_KEEPS = timedelta(days=35)

INSERT_RUN = text(
    """
    INSERT INTO job_runs
        (run_id, name, trigger_source, trigger_id, partition_number, partition_offset, scheduled_for, status,
        received_at, progressed_at)
    VALUES (:run_id, :name, :source, :trigger_id, :partition, :offset, :scheduled_for, 'waiting', :now, :now)
    ON CONFLICT DO NOTHING RETURNING run_id
    """,
)
KNOWN_PLACE = text("SELECT name, partition_number, partition_offset FROM job_runs WHERE run_id = :run_id")
START_RUN = text(
    """
    UPDATE job_runs
    SET shards_total = :shards, progressed_at = :now,
        status = CASE WHEN :shards = 0 THEN 'finished' ELSE 'running' END,
        finished_at = CASE WHEN :shards = 0 THEN CAST(:now AS timestamptz) END
    WHERE run_id = :run_id AND status = 'waiting' RETURNING name
    """,
)
INSERT_SHARDS = text(
    """
    INSERT INTO job_shards (run_id, number, first_tenant_id, first_smb_id, last_tenant_id, last_smb_id)
    SELECT :run_id, number, first_tenant_id, first_smb_id, last_tenant_id, last_smb_id
    FROM unnest(CAST(:numbers AS integer[]), CAST(:first_tenant_ids AS uuid[]), CAST(:first_smb_ids AS uuid[]),
        CAST(:last_tenant_ids AS uuid[]), CAST(:last_smb_ids AS uuid[]))
        AS shard (number, first_tenant_id, first_smb_id, last_tenant_id, last_smb_id)
    """,
)
IS_OPEN = text(
    """
    SELECT done_at IS NULL FROM job_shards
    WHERE run_id = :run_id AND number = :number
        AND (first_tenant_id, first_smb_id) = (:first_tenant_id, :first_smb_id)
        AND (last_tenant_id, last_smb_id) = (:last_tenant_id, :last_smb_id)
    """,
)
FINISH_SHARD = text(
    """
    UPDATE job_shards SET done_at = :now, smbs_seen = :seen, smbs_changed = :changed
    WHERE run_id = :run_id AND number = :number AND done_at IS NULL RETURNING number
    """,
)
COUNT_SHARD = text(
    """
    UPDATE job_runs
    SET shards_done = shards_done + 1, smbs_seen = smbs_seen + :seen, smbs_changed = smbs_changed + :changed,
        progressed_at = greatest(progressed_at, :now),
        status = CASE WHEN shards_done + 1 = shards_total THEN 'finished' ELSE status END,
        finished_at = CASE WHEN shards_done + 1 = shards_total THEN CAST(:now AS timestamptz) END
    WHERE run_id = :run_id
    """,
)


async def register(transaction: Transaction, trigger: Input, now: datetime) -> Outcome:
    """Note that a trigger came. The outcome counts it as applied when its run is new, else as repeated."""
    if now - trigger.time > LEDGER_KEEPS:
        return Outcome(repeated=1)
    if not isinstance(trigger.data, Trigger):
        raise TypeError(trigger.type)
    new = await transaction.execute(
        INSERT_RUN,
        {
            "run_id": trigger.event_key,
            "name": trigger.type,
            "source": trigger.source,
            "trigger_id": trigger.id,
            "partition": trigger.place.partition,
            "offset": trigger.place.offset,
            "scheduled_for": trigger.data.scheduled_for,
            "now": now,
        },
    )
    if new.first() is not None:
        return Outcome(applied=1)
    known = (await transaction.execute(KNOWN_PLACE, {"run_id": trigger.event_key})).one()
    elsewhere = (known.partition_number, known.partition_offset) != (trigger.place.partition, trigger.place.offset)
    return Outcome(repeated=1, copies=[Copy(trigger, known.name != trigger.type)] if elsewhere else [])


async def start(
    transaction: Transaction, job: str, run_id: UUID, ranges: Sequence[tuple[SmbKey, SmbKey]], now: datetime
) -> list[JobShard]:
    """Split a registered run into one shard per range and return the messages; a run without ranges is finished.

    Called twice for a run, the second call returns nothing.
    """
    started = await transaction.execute(START_RUN, {"run_id": run_id, "shards": len(ranges), "now": now})
    if started.first() is None or not ranges:
        return []
    await transaction.execute(
        INSERT_SHARDS,
        {
            "run_id": run_id,
            "numbers": list(range(1, len(ranges) + 1)),
            "first_tenant_ids": [first.tenant_id for first, _ in ranges],
            "first_smb_ids": [first.smb_id for first, _ in ranges],
            "last_tenant_ids": [last.tenant_id for _, last in ranges],
            "last_smb_ids": [last.smb_id for _, last in ranges],
        },
    )
    return [shard_of(job, run_id, number, first, last) for number, (first, last) in enumerate(ranges, 1)]


async def ranges_of(transaction: Transaction, population: str, shard_max_smbs: int) -> list[tuple[SmbKey, SmbKey]]:
    """Split SMBs into consecutive key ranges of at most `shard_max_smbs`.

    `population` is a constant SELECT of a store that gives tenant_id and smb_id.
    """
    statement = text(
        f"""
        WITH counted AS (
            SELECT tenant_id, smb_id, row_number() OVER (ORDER BY tenant_id, smb_id) - 1 AS place
            FROM ({population}) AS population
        )
        SELECT tenant_id, smb_id FROM counted
        WHERE place % :size IN (0, CAST(:size AS bigint) - 1) OR place = (SELECT max(place) FROM counted)
        ORDER BY place
        """,  # noqa: S608  the population is a constant of a store
    )
    rows = (await transaction.execute(statement, {"size": shard_max_smbs})).all()
    bounds = [SmbKey(row.tenant_id, row.smb_id) for row in rows]
    if shard_max_smbs == 1:
        return [(bound, bound) for bound in bounds]
    if len(bounds) % 2:  # the last range holds a single SMB, which is both its ends
        bounds.append(bounds[-1])
    return list(zip(bounds[::2], bounds[1::2], strict=True))


async def is_open(transaction: Transaction, shard: JobShard) -> bool:
    """Tell whether a shard is still to be done. One of a run that this database does not know is not."""
    parameters = {
        "run_id": shard.run_id,
        "number": shard.number,
        "first_tenant_id": shard.first.tenant_id,
        "first_smb_id": shard.first.smb_id,
        "last_tenant_id": shard.last.tenant_id,
        "last_smb_id": shard.last.smb_id,
    }
    return bool((await transaction.execute(IS_OPEN, parameters)).scalar())


async def finish(transaction: Transaction, shard: JobShard, *, seen: int, changed: int, now: datetime) -> None:
    """Mark a shard as done and count it in its run; the last one finishes the run."""
    parameters = {"run_id": shard.run_id, "number": shard.number, "seen": seen, "changed": changed, "now": now}
    if (await transaction.execute(FINISH_SHARD, parameters)).first() is not None:
        await transaction.execute(COUNT_SHARD, parameters)
