"""Erasure: everything about an SMB goes, and a mark stays, so that no replay brings it back.

What is erased: profile, events, histories, dead letters, and messages that were told. The head stays, emptied and
marked; its sequence goes on, so that SMBErased has its number. A message that still waits in the outbox is left to
the relay, because readers are promised every number: it goes once Kafka has acknowledged SMBErased, the last one.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBErased
from shared.schemas.identity import SmbKey

# Campaigns before the SMB that they belong to. Each names its table's columns of tenant and SMB.
_HOLDS_SOMETHING = (
    ("campaigns", "smb_id"),
    ("campaign_transitions", "smb_id"),
    ("campaign_inputs", "smb_id"),
    ("tier_changes", "smb_id"),
    ("engagement_events", "smb_id"),
    ("repeated_inputs", "smb_id"),
    ("dead_letters", "smb_id"),
    ("smbs", "id"),
)
_OF_THE_ERASED = """
    USING unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS erased (tenant_id, smb_id)
    WHERE held.tenant_id = erased.tenant_id AND held.{column} = erased.smb_id"""
DELETE = tuple(
    text(f"DELETE FROM {table} AS held {_OF_THE_ERASED.format(column=column)}")  # noqa: S608  the names above
    for table, column in _HOLDS_SOMETHING
)
DELETE_TOLD = text(
    f"""
    DELETE FROM outgoing_messages AS held {_OF_THE_ERASED.format(column="smb_id")}
        AND NOT EXISTS (SELECT FROM outbox WHERE outbox.message_id = held.id)
    """,  # noqa: S608  the text above
)
MARK = text(
    """
    UPDATE smb_heads AS head
    SET erased_at = :now, engagement_score = 0, announced_score = 0, engagement_scored_on = NULL,
        last_email_open = NULL, last_email_click = NULL, last_content_view = NULL, last_approval = NULL
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS erased (tenant_id, smb_id)
    WHERE head.tenant_id = erased.tenant_id AND head.smb_id = erased.smb_id
    """,
)


async def erase(
    transaction: Transaction, keys: Sequence[SmbKey], now: datetime, *, causation_id: str | None = None
) -> Outcome:
    """Erase SMBs whose heads this transaction holds, also those that it does not know yet, and tell it.

    Those that are erased already are left, so that a second call changes and tells nothing.
    """
    remaining = [key for key in keys if key not in transaction.erased]
    if not remaining:
        return Outcome()
    arrays = as_arrays(remaining)
    for statement in (*DELETE, DELETE_TOLD):
        await transaction.execute(statement, arrays)
    await transaction.execute(MARK, arrays | {"now": now})
    told = [Announcement(key, SMBErased(smb_id=key.smb_id), causation_id) for key in remaining]
    return Outcome(announcements=told, applied=len(remaining))
