"""Events for SMBs that their tenant does not have: they wait for its creation, but not for ever."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

REMOVE_OLD = text(
    """
    WITH old AS MATERIALIZED (
        SELECT event.tenant_id, event.smb_id, event.event_key
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS unknown (tenant_id, smb_id)
        JOIN engagement_events AS event ON event.tenant_id = unknown.tenant_id AND event.smb_id = unknown.smb_id
        WHERE event.received_at < :received_before LIMIT :at_most
    ), removed AS (
        DELETE FROM engagement_events AS event USING old
        WHERE event.tenant_id = old.tenant_id AND event.smb_id = old.smb_id AND event.event_key = old.event_key
        RETURNING event.tenant_id, event.smb_id
    )
    SELECT tenant_id, smb_id, count(*) AS events FROM removed GROUP BY tenant_id, smb_id ORDER BY tenant_id, smb_id
    """,
)
# The only way in which these go back: what they were taken from is gone.
LOOK_AGAIN = text(
    """
    UPDATE smb_heads AS head
    SET last_email_open = left_over.email_open, last_email_click = left_over.email_click,
        last_content_view = left_over.content_view, last_approval = left_over.approved
    FROM (
        SELECT unknown.tenant_id, unknown.smb_id,
            max(event.occurred_at) FILTER (WHERE event.kind = 'email_opened') AS email_open,
            max(event.occurred_at) FILTER (WHERE event.kind = 'email_clicked') AS email_click,
            max(event.occurred_at) FILTER (WHERE event.kind IN ('content_viewed', 'content_completed')) AS content_view,
            max(event.occurred_at) FILTER (WHERE event.kind = 'approval_approved') AS approved
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS unknown (tenant_id, smb_id)
        LEFT JOIN engagement_events AS event ON event.tenant_id = unknown.tenant_id AND event.smb_id = unknown.smb_id
        GROUP BY unknown.tenant_id, unknown.smb_id
    ) AS left_over
    WHERE head.tenant_id = left_over.tenant_id AND head.smb_id = left_over.smb_id
    """,
)


async def remove_unclaimed(
    transaction: Transaction, unknown: Sequence[SmbKey], received_before: datetime, at_most: int
) -> dict[SmbKey, int]:
    """Remove at most so many old events of SMBs that do not exist, whose heads are locked; gives how many of which.

    Their last_… follow what is left; whoever calls this scores them anew.
    """
    parameters = as_arrays(unknown) | {"received_before": received_before, "at_most": at_most}
    rows = (await transaction.execute(REMOVE_OLD, parameters)).all()
    removed = {SmbKey(row.tenant_id, row.smb_id): row.events for row in rows}
    if removed:
        await transaction.execute(LOOK_AGAIN, as_arrays(list(removed)))
    return removed
