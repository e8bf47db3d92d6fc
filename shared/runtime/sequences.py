"""The numbers of what was told: gapless per SMB, and the last one is the head's."""

from collections.abc import Sequence

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.differences import Difference, compare
from shared.runtime.heads import as_arrays
from shared.runtime.jobs import LEDGER_KEEPS
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

KIND = "sequence"

# Only messages that are surely kept: older ones are removed bit by bit, in no order. An SMB's moments grow with its
# numbers, so these are the end of its story; all of it, where the SMB itself is younger.
STORIES = text(
    """
    SELECT head.tenant_id, head.smb_id, head.sequence, head.erased_at IS NOT NULL AS erased,
        coalesce(smb.created_at > clock_timestamp() - CAST(:keeps AS interval), false) AS whole_story,
        told.first, told.last, told.messages
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smb_heads AS head USING (tenant_id, smb_id)
    LEFT JOIN smbs AS smb ON smb.tenant_id = head.tenant_id AND smb.id = head.smb_id
    CROSS JOIN LATERAL (
        SELECT min(sequence) AS first, max(sequence) AS last, count(DISTINCT sequence) AS messages
        FROM outgoing_messages AS message
        WHERE message.tenant_id = head.tenant_id AND message.smb_id = head.smb_id
            AND message.created_at > clock_timestamp() - CAST(:keeps AS interval)
    ) AS told
    """,
)


async def differences(transaction: Transaction, keys: Sequence[SmbKey], policy: Policy) -> list[Difference]:
    """Compare the messages that are kept with the numbers that were given."""
    del policy
    found: list[Difference] = []
    for row in (await transaction.execute(STORIES, as_arrays(keys) | {"keeps": LEDGER_KEEPS})).all():
        smb = SmbKey(row.tenant_id, row.smb_id)
        begins_at = 1 if row.whole_story else row.first
        if row.messages:
            in_all = row.last - begins_at + 1
            found += compare(smb, KIND, {"last number": (row.sequence, row.last)})
            found += compare(smb, KIND, {f"messages from number {begins_at} on": (row.messages, in_all)})
        elif row.whole_story and not row.erased:
            found += compare(smb, KIND, {"last number": (row.sequence, 0)})
    return found
