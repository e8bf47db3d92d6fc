"""How routes find and show an SMB."""

from uuid import UUID

from services.api.idempotency import Answer
from services.api.models.smbs import Smb
from services.api.problems import Problem
from services.api.versions import etag
from services.records.reading import SmbRecord, read_smb
from shared.runtime.database import TenantDatabase, Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

CREATED = 201


async def existing(transaction: Transaction, smb: SmbKey, *, deleted_too: bool = False) -> SmbRecord:
    """Read an SMB. Raises Problem 404 when the tenant has none such."""
    found = await read_smb(transaction, smb, deleted_too=deleted_too)
    if found is None:
        raise not_found()
    return found


async def known_key(database: TenantDatabase, smb_id: UUID, *, deleted_too: bool = False) -> SmbKey:
    """The key of an SMB that is there, to be locked; no head is made for ids that somebody guesses.

    Raises Problem 404.
    """
    async with database.transaction() as transaction:
        return (await existing(transaction, SmbKey(database.tenant_id, smb_id), deleted_too=deleted_too)).key


def not_found() -> Problem:
    """The tenant has no such SMB; whether another one has is nobody's business."""
    return Problem(404, "unknown-smb", "there is no such SMB")


def answer(record: SmbRecord, policy: Policy, *, status: int = 200) -> Answer:
    """Show an SMB, with its ETag and, when it was just made, its address."""
    headers = [("ETag", etag(record.revision))]
    if status == CREATED:
        headers.append(("Location", f"/api/v1/smbs/{record.id}"))
    return Answer(status, Smb.of(record, policy).model_dump_json().encode(), headers, record.id)
