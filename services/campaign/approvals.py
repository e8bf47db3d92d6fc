"""Approvals that came before their SMB: they wait in the ledger until the SMB is created, but not for ever."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from sqlalchemy import text

from services.campaign.rules import approve, is_full
from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.runtime.logs import logger
from shared.schemas.identity import SmbKey

APPLY_WAITING = text(
    """
    UPDATE campaign_inputs AS approval SET outcome = 'applied'
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS created (tenant_id, smb_id)
    WHERE approval.tenant_id = created.tenant_id AND approval.smb_id = created.smb_id
        AND approval.sort = 'approval' AND approval.outcome = 'waiting'
    RETURNING approval.tenant_id, approval.smb_id, approval.service, approval.arrival
    """,
)

# Rejected ones too, which wait for nothing: an approval's identity is kept for as long as its event.
REMOVE_OLD = text(
    """
    DELETE FROM campaign_inputs AS approval
    USING (
        SELECT held.tenant_id, held.smb_id, held.input_key
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS unknown (tenant_id, smb_id)
        JOIN campaign_inputs AS held
            ON held.tenant_id = unknown.tenant_id AND held.smb_id = unknown.smb_id AND held.sort = 'approval'
        WHERE held.received_at < :received_before LIMIT :at_most) AS old
    WHERE approval.tenant_id = old.tenant_id AND approval.smb_id = old.smb_id AND approval.sort = 'approval'
        AND approval.input_key = old.input_key
    """,
)


async def take_over_approvals(
    transaction: Transaction, activated: Mapping[SmbKey, Collection[str]]
) -> dict[SmbKey, tuple[str, ...]]:
    """Apply the approvals that wait for these SMBs, whose heads are locked; gives their pending services, not stored.

    `activated` names the services that each SMB is created with. Of more than can be pending the first stand there, and
    the log names the SMB. Pending services stand in the order in which their
    approvals arrived; every SMB of `activated` is in the answer. Called again, nothing waits any more.
    """
    waiting = (await transaction.execute(APPLY_WAITING, as_arrays(list(activated)))).all()
    pending: dict[SmbKey, tuple[str, ...]] = dict.fromkeys(activated, ())
    for approval in sorted(waiting, key=attrgetter("arrival")):
        smb = SmbKey(approval.tenant_id, approval.smb_id)
        pending[smb] = approve(pending[smb], activated[smb], approval.service)
    for smb, services in pending.items():
        if is_full(services):
            logger().warning("no further service can become pending", tenant_id=smb.tenant_id, smb_id=smb.smb_id)
    return pending


async def remove_unclaimed(
    transaction: Transaction, unknown: Sequence[SmbKey], received_before: datetime, at_most: int
) -> int:
    """Remove at most so many old approvals of SMBs that do not exist, whose heads are locked; gives how many."""
    parameters = as_arrays(unknown) | {"received_before": received_before, "at_most": at_most}
    return (await transaction.execute(REMOVE_OLD, parameters)).rowcount
