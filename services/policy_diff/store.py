"""Every SQL statement of the comparison that is no service's own."""

from collections.abc import Sequence

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

READ_NAMES = text(
    """
    SELECT smb.tenant_id, smb.id, smb.business_name
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    """,
)


async def read_names(transaction: Transaction, keys: Sequence[SmbKey]) -> dict[SmbKey, str]:
    """Read the business names of these SMBs."""
    rows = await transaction.execute(READ_NAMES, as_arrays(keys))
    return {SmbKey(row.tenant_id, row.id): row.business_name for row in rows.all()}
