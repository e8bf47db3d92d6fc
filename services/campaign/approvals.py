"""Approvals that came before their SMB: they wait in the ledger until the SMB is created."""

from collections.abc import Collection, Mapping
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
