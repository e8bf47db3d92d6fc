"""The head of every SMB: the row that everyone locks before changing that SMB.

One lock order for all: heads first, ordered by (tenant, SMB), before any other row. So four workers, the API, imports
and shards can't deadlock, lose an update, or race with a creation or an erasure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey

# Missing heads are inserted before any existing one is locked: a transaction that waits for another's insert then
# holds no lock but on heads that it inserted itself, in the same order. Sorted for the same reason. Where no head was,
# no event is, so the score of today is known: 0.
INSERT_MISSING = text(
    """
    INSERT INTO smb_heads (tenant_id, smb_id, engagement_scored_on)
    SELECT wanted.tenant_id, wanted.smb_id, CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date)
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    WHERE NOT EXISTS (
        SELECT FROM smb_heads AS head WHERE head.tenant_id = wanted.tenant_id AND head.smb_id = wanted.smb_id)
    ORDER BY wanted.tenant_id, wanted.smb_id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, smb_id
    """,
)
# The clock is read when the last row is locked, because an aggregate gives its row after it has taken all: what another
# transaction committed lies before this moment.
LOCK = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT head.tenant_id, head.smb_id, head.last_now, head.erased_at
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
        JOIN smb_heads AS head ON head.tenant_id = wanted.tenant_id AND head.smb_id = wanted.smb_id
        ORDER BY head.tenant_id, head.smb_id
        FOR UPDATE OF head
    )
    SELECT count(*), max(last_now),
        array_agg(tenant_id) FILTER (WHERE erased_at IS NOT NULL),
        array_agg(smb_id) FILTER (WHERE erased_at IS NOT NULL),
        clock_timestamp(), (SELECT epoch FROM installation)
    FROM locked
    """,
)
LOCK_RANGE = text(
    """
    SELECT tenant_id, smb_id, last_now, erased_at FROM smb_heads
    WHERE (tenant_id, smb_id) >= (:first_tenant_id, :first_smb_id)
        AND (tenant_id, smb_id) <= (:last_tenant_id, :last_smb_id)
    ORDER BY tenant_id, smb_id
    FOR UPDATE
    """,
)
# Where nothing is locked, or a range, in a statement of its own after it.
CLOCK = text("SELECT clock_timestamp(), epoch FROM installation")
NUMBER = text(
    """
    UPDATE smb_heads AS head
    SET sequence = head.sequence + told.announcements, last_now = :now
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:announcements AS integer[]))
        AS told (tenant_id, smb_id, announcements)
    WHERE head.tenant_id = told.tenant_id AND head.smb_id = told.smb_id
    RETURNING head.tenant_id, head.smb_id, head.sequence - told.announcements
    """,
)


# What jobs cut into ranges. Unknown, deleted and erased SMBs have heads too: a range that counted only the others would
# lock a million heads where a million lie between two of them.
POPULATION = "SELECT tenant_id, smb_id FROM smb_heads"


@dataclass(frozen=True, slots=True)
class Locked:
    """What the lock found. `now` is the database's clock after the locks, never before any head's last moment.

    `fresh` are the SMBs whose heads were inserted by this very lock: nothing about them was ever stored.
    """

    keys: Sequence[SmbKey]
    erased: frozenset[SmbKey]
    now: datetime
    epoch: int
    fresh: frozenset[SmbKey] = frozenset()


async def lock(connection: AsyncConnection, keys: Iterable[SmbKey], *, new: Iterable[SmbKey] = ()) -> Locked:
    """Lock the heads of `keys` and `new` in order, inserting those that are missing; wait for whoever holds them.

    The first act of its transaction: where a head is missing it begins the transaction anew, because the missing ones
    must be inserted before any other is held. Also a head that vanished while this waited for it (the cleanup removes
    heads) is inserted then. `new` are SMBs that are most likely not known yet: their heads are inserted at once.
    """
    likely_new = in_order(new)
    ordered = in_order([*keys, *likely_new]) if likely_new else in_order(keys)
    fresh = await _insert_missing(connection, likely_new) if likely_new else frozenset()
    while True:
        # What this transaction has inserted it holds already.
        others = [key for key in ordered if key not in fresh] if fresh else ordered
        if not others:
            clock, epoch = (await connection.execute(CLOCK)).one()
            return Locked(ordered, frozenset(), clock, epoch, fresh)
        found, last_now, tenant_ids, smb_ids, clock, epoch = (await connection.execute(LOCK, as_arrays(others))).one()
        if found == len(others):
            erased = frozenset(map(SmbKey, tenant_ids or (), smb_ids or ()))
            return Locked(ordered, erased, _latest(clock, last_now), epoch, fresh)
        await connection.rollback()
        fresh = await _insert_missing(connection, ordered)


async def lock_range(connection: AsyncConnection, first: SmbKey, last: SmbKey) -> Locked:
    """Lock the heads from `first` to `last`, both included, in order; none is inserted."""
    rows = (await connection.execute(LOCK_RANGE, as_range(first, last))).all()
    keys = [SmbKey(row.tenant_id, row.smb_id) for row in rows]
    erased = frozenset(key for key, row in zip(keys, rows, strict=True) if row.erased_at is not None)
    clock, epoch = (await connection.execute(CLOCK)).one()
    return Locked(keys, erased, _latest(clock, max((row.last_now for row in rows), default=None)), epoch)


async def read_clock(transaction: Transaction) -> datetime:
    """The database's clock, for whoever only looks and holds no head."""
    now: datetime = (await transaction.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now


async def number(connection: AsyncConnection, counts: dict[SmbKey, int], now: datetime) -> dict[SmbKey, int]:
    """Take `counts` sequence numbers for each SMB and note `now`; returns the last number taken before, per SMB.

    The heads are held by this transaction, so numbers are gapless and in the order of commits.
    """
    ordered = in_order(counts)
    parameters = as_arrays(ordered) | {"announcements": [counts[key] for key in ordered], "now": now}
    rows = (await connection.execute(NUMBER, parameters)).all()
    return {SmbKey(tenant_id, smb_id): before for tenant_id, smb_id, before in rows}


def in_order(keys: Iterable[SmbKey]) -> list[SmbKey]:
    """Sort as PostgreSQL sorts uuids, each key once; integers hash and compare ten times as fast as UUID objects."""
    by_number = {(key.tenant_id.int, key.smb_id.int): key for key in keys}
    return [by_number[number] for number in sorted(by_number)]


def as_arrays(keys: Sequence[SmbKey]) -> dict[str, Any]:
    """The two arrays that statements unnest."""
    return {"tenant_ids": [key.tenant_id for key in keys], "smb_ids": [key.smb_id for key in keys]}


def as_range(first: SmbKey, last: SmbKey) -> dict[str, Any]:
    """The two ends that statements about a range of keys compare with."""
    return {
        "first_tenant_id": first.tenant_id,
        "first_smb_id": first.smb_id,
        "last_tenant_id": last.tenant_id,
        "last_smb_id": last.smb_id,
    }


async def _insert_missing(connection: AsyncConnection, ordered: Sequence[SmbKey]) -> frozenset[SmbKey]:
    rows = await connection.execute(INSERT_MISSING, as_arrays(ordered))
    return frozenset(SmbKey(tenant_id, smb_id) for tenant_id, smb_id in rows.all())


def _latest(clock: datetime, last_now: datetime | None) -> datetime:
    return max(clock, last_now) if last_now else clock
