"""What imports hold of SMBs that are erased: refused rows, and staged ones that nobody has applied yet."""

from collections.abc import Sequence

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

_ERASED = """
    WITH erased AS (
        SELECT wanted.tenant_id, wanted.smb_id, smb.external_id, lower(smb.primary_email) AS email,
            smb.business_name, smb.primary_email, smb.primary_phone
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
        LEFT JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    )
"""
# A row that was refused may have named the SMB in any way: by what it is known by, or with one of its names as the
# value that was wrong. Each way has its index.
FORGET_REFUSED = tuple(
    text(
        f"""
        {_ERASED}
        DELETE FROM import_refusals AS held USING erased
        WHERE held.tenant_id = erased.tenant_id AND held.{column} = erased.{known}
        """  # noqa: S608  the names beside
    )
    for column, known in (
        ("smb_id", "smb_id"),
        ("external_id", "external_id"),
        ("email", "email"),
        ("value", "business_name"),
        ("value", "primary_email"),
        ("value", "primary_phone"),
    )
)
# There are staged rows only while an import runs.
ARE_STAGED = text(
    "SELECT EXISTS (SELECT FROM import_rows WHERE tenant_id = ANY(CAST(:tenant_ids AS uuid[])))",
)
FORGET_STAGED = tuple(
    text(
        f"""
        {_ERASED}
        DELETE FROM import_rows AS held USING erased
        WHERE held.tenant_id = erased.tenant_id AND {staged} = erased.{known}
        """  # noqa: S608  the names beside
    )
    for staged, known in (
        ("held.id", "smb_id"),
        ("held.external_id", "external_id"),
        ("lower(held.primary_email)", "email"),
    )
)


async def forget_imported(transaction: Transaction, keys: Sequence[SmbKey]) -> None:
    """Remove the rows that are about these SMBs, whose profiles must still be there to know them by."""
    arrays = as_arrays(keys)
    for statement in FORGET_REFUSED:
        await transaction.execute(statement, arrays)
    if (await transaction.execute(ARE_STAGED, arrays)).scalar():
        for statement in FORGET_STAGED:
            await transaction.execute(statement, arrays)
