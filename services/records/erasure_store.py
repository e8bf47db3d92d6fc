"""Every SQL statement of erasures: where anything about an SMB is held, and how it goes bit by bit."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import TextClause, text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

_OF_THE_SMB = "held.tenant_id = erased.tenant_id AND held.smb_id = erased.smb_id"


class Holding(NamedTuple):
    """A table that holds something about SMBs: the columns of its key, and which rows are about an `erased` one."""

    table: str
    key: tuple[str, ...]
    is_about: str = _OF_THE_SMB


# A letter that names two SMBs goes with either. One whose tenant can't be read may be anybody's, and goes too.
_MENTIONED = "held.mentions @> ARRAY[erased.smb_id] AND (held.tenant_id IS NULL OR held.tenant_id = erased.tenant_id)"
# Readers are promised every number: what still waits goes once Kafka has acknowledged SMBErased (the relay does that),
# which itself stays for as long as any message does.
_TOLD = f"""{_OF_THE_SMB} AND held.type <> 'SMBErased'
    AND NOT EXISTS (SELECT FROM outbox WHERE outbox.message_id = held.id)"""

HOLDINGS = (
    Holding("engagement_events", ("tenant_id", "smb_id", "event_key")),
    Holding("campaign_inputs", ("tenant_id", "smb_id", "sort", "input_key")),
    Holding("campaign_transitions", ("tenant_id", "smb_id", "id")),
    Holding("tier_changes", ("tenant_id", "smb_id", "id")),
    Holding("repeated_inputs", ("consumer_group", "topic", "partition_number", "partition_offset")),
    Holding("idempotency_keys", ("tenant_id", "key")),
    # Those that name the SMB otherwise are found by its profile, while that is there.
    Holding("import_refusals", ("tenant_id", "job_id", "line")),
    Holding("dead_letters", ("id",), _MENTIONED),
    Holding("outgoing_messages", ("id",), _TOLD),
)
"""What may be much, and what others may be writing this moment. An SMB has a handful of everything else."""

_ERASED = "unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS erased (tenant_id, smb_id)"
# Campaigns before the SMB that they belong to.
DELETE_CAMPAIGNS = text(f"DELETE FROM campaigns AS held USING {_ERASED} WHERE {_OF_THE_SMB}")  # noqa: S608
DELETE_PROFILES = text(
    f"DELETE FROM smbs AS held USING {_ERASED} WHERE held.tenant_id = erased.tenant_id AND held.id = erased.smb_id"  # noqa: S608
)
MARK = text(
    f"""
    UPDATE smb_heads AS head
    SET erased_at = :now, engagement_score = 0, announced_score = 0, engagement_scored_on = NULL,
        last_email_open = NULL, last_email_click = NULL, last_content_view = NULL, last_approval = NULL
    FROM {_ERASED}
    WHERE head.tenant_id = erased.tenant_id AND head.smb_id = erased.smb_id
    """,  # noqa: S608  the array above
)
OPEN = text(
    f"INSERT INTO open_erasures (tenant_id, smb_id, erased_at) SELECT erased.*, :now FROM {_ERASED}"  # noqa: S608
)
LOCK_DUE = text(
    """
    SELECT tenant_id, smb_id FROM open_erasures
    WHERE NOT is_swept OR erased_at < clock_timestamp() - CAST(:settled_after AS interval)
    ORDER BY tenant_id, smb_id LIMIT :at_most FOR UPDATE SKIP LOCKED
    """,
)
SETTLE = text(
    f"""
    WITH settled AS (
        DELETE FROM open_erasures AS erasure USING {_ERASED}
        WHERE erasure.tenant_id = erased.tenant_id AND erasure.smb_id = erased.smb_id
            AND erasure.erased_at < clock_timestamp() - CAST(:settled_after AS interval)
    )
    UPDATE open_erasures AS erasure SET is_swept = true FROM {_ERASED}
    WHERE erasure.tenant_id = erased.tenant_id AND erasure.smb_id = erased.smb_id
        AND erasure.erased_at >= clock_timestamp() - CAST(:settled_after AS interval)
    """,  # noqa: S608  the array above
)


def _removal(holding: Holding) -> TextClause:
    is_one = " AND ".join(f"held.{column} = found.{column}" for column in holding.key)
    return text(
        f"""
        DELETE FROM {holding.table} AS held
        USING (
            SELECT {", ".join(f"held.{column}" for column in holding.key)}
            FROM {_ERASED} JOIN {holding.table} AS held ON {holding.is_about} LIMIT :at_most) AS found
        WHERE {is_one}
        """,  # noqa: S608  the names above
    )


REMOVE_SOME = tuple(_removal(holding) for holding in HOLDINGS)
# Of those whose erasure is not settled there may be something still.
FIND_SETTLED = text(
    f"""
    SELECT head.tenant_id, head.smb_id
    FROM {_ERASED} JOIN smb_heads AS head ON head.tenant_id = erased.tenant_id AND head.smb_id = erased.smb_id
    WHERE head.erased_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM open_erasures AS erasure
        WHERE erasure.tenant_id = head.tenant_id AND erasure.smb_id = head.smb_id)
    """  # noqa: S608  the array above
)
FIND_LEFT = text(
    " UNION ALL ".join(
        f"""
        SELECT erased.tenant_id, erased.smb_id, '{holding.table}' AS held_in, count(*) AS rows
        FROM {_ERASED} JOIN {holding.table} AS held ON {holding.is_about} GROUP BY erased.tenant_id, erased.smb_id
        """  # noqa: S608  the names above
        for holding in (
            *HOLDINGS,
            Holding("campaigns", ()),
            Holding("smbs", (), "held.tenant_id = erased.tenant_id AND held.id = erased.smb_id"),
        )
    )
)


async def delete_profiles(transaction: Transaction, keys: Sequence[SmbKey]) -> None:
    """Delete these SMBs and their campaigns."""
    for statement in (DELETE_CAMPAIGNS, DELETE_PROFILES):
        await transaction.execute(statement, as_arrays(keys))


async def remove_some(transaction: Transaction, keys: Sequence[SmbKey], at_most: int) -> bool:
    """Remove at most so many rows of each table that are about these SMBs; tells whether there may be more."""
    parameters = as_arrays(keys) | {"at_most": at_most}
    removed = [(await transaction.execute(statement, parameters)).rowcount for statement in REMOVE_SOME]
    return max(removed) >= at_most


async def mark_erased(transaction: Transaction, keys: Sequence[SmbKey], now: datetime) -> None:
    """Empty and mark the heads of these SMBs, none of which is marked yet, and note that they are to be swept."""
    for statement in (MARK, OPEN):
        await transaction.execute(statement, as_arrays(keys) | {"now": now})


async def lock_due(transaction: Transaction, settled_after: timedelta, at_most: int) -> list[SmbKey]:
    """Take erasures to sweep: those never swept, and those after which nobody can be writing any more."""
    rows = await transaction.execute(LOCK_DUE, {"settled_after": settled_after, "at_most": at_most})
    return [SmbKey(row.tenant_id, row.smb_id) for row in rows.all()]


async def settle(transaction: Transaction, keys: Sequence[SmbKey], settled_after: timedelta) -> None:
    """Note that nothing is left of these SMBs; the old ones of these erasures are over."""
    await transaction.execute(SETTLE, as_arrays(keys) | {"settled_after": settled_after})


async def find_settled(transaction: Transaction, keys: Sequence[SmbKey]) -> list[SmbKey]:
    """Give those of `keys` that were erased so long ago that nothing can be left."""
    rows = await transaction.execute(FIND_SETTLED, as_arrays(keys))
    return [SmbKey(row.tenant_id, row.smb_id) for row in rows.all()]


async def find_left(transaction: Transaction, erased: Sequence[SmbKey]) -> list[tuple[SmbKey, str, int]]:
    """Give what is still held of erased SMBs: table and number of rows."""
    rows = await transaction.execute(FIND_LEFT, as_arrays(erased))
    return [(SmbKey(row.tenant_id, row.smb_id), row.held_in, row.rows) for row in rows.all()]
