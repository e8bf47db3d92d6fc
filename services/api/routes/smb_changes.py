"""SMBs: change and erase."""

from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from services.api.causes import Because
from services.api.idempotency import Answer
from services.api.models.smbs import BusinessContext, Smb, SmbToChange, SmbToReplace
from services.api.parts import Ours, Parts, Tenant
from services.api.problems import documented
from services.api.routing import router
from services.api.showing import answer, existing, known_key
from services.api.versions import IfMatch, expected_revision
from services.api.writing import Writing
from services.campaign.decisions import Cause
from services.records.changes import context_from, smb_change_from
from services.records.erasure import erase
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey

routes = router("/smbs", "SMBs")


@routes.put("/{smb_id}", response_model=Smb, responses=documented(404, 409, 412, 415, 428))
async def replace_smb(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    body: SmbToReplace,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    if_match: IfMatch = None,
) -> Response:
    """Replace the profile: what is left out gets its default. Needs `If-Match`."""
    smb = await known_key(tenant, smb_id)
    fields = body.model_dump(exclude={"slug", "business_context"}) | ({"slug": body.slug} if body.slug else {})
    revision = expected_revision(if_match, required=True)

    async def replace(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await _change(parts, transaction, smb, fields | {"expected_revision": revision}, cause, now)
        context = context_from(_identity(smb) | {"business_context": body.business_context})
        outcome.add(await parts.records.replace_business_context(transaction, context, now))
        return outcome, answer(await existing(transaction, smb), parts.policy)

    return await writing.write([smb], replace)


@routes.patch("/{smb_id}", response_model=Smb, responses=documented(404, 409, 412, 415))
async def change_smb(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    body: SmbToChange,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    if_match: IfMatch = None,
) -> Response:
    """Change some fields: what is left out stays, null clears. Activating a service takes it off the pending ones."""
    smb = await known_key(tenant, smb_id)
    fields = body.model_dump(exclude_unset=True) | {"expected_revision": expected_revision(if_match)}

    async def change(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await _change(parts, transaction, smb, fields, cause, now)
        return outcome, answer(await existing(transaction, smb), parts.policy)

    return await writing.write([smb], change)


@routes.put("/{smb_id}/business-context", response_model=Smb, responses=documented(404, 409, 412, 415))
async def replace_business_context(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID, body: BusinessContext, parts: Ours, tenant: Tenant, writing: Writing, if_match: IfMatch = None
) -> Response:
    """Replace what else is known of the business. No announcement carries it."""
    smb = await known_key(tenant, smb_id)
    fields = {"business_context": body.root, "expected_revision": expected_revision(if_match)}
    request = context_from(_identity(smb) | fields)

    async def replace(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.replace_business_context(transaction, request, now)
        return outcome, answer(await existing(transaction, smb), parts.policy)

    return await writing.write([smb], replace)


@routes.delete("/{smb_id}", status_code=204, responses=documented(404, 412))
async def delete_smb(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID, parts: Ours, tenant: Tenant, writing: Writing, cause: Because, if_match: IfMatch = None
) -> Response:
    """Delete an SMB softly: its campaign ends, nothing more is told of it. It can be restored for 90 days."""
    smb = await known_key(tenant, smb_id)
    revision = expected_revision(if_match)

    async def delete(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.delete_smb(transaction, smb, now, expected_revision=revision, cause=cause)
        return outcome, Answer(204)

    return await writing.write([smb], delete)


@routes.post("/{smb_id}/restore", response_model=Smb, responses=documented(404, 409))
async def restore_smb(smb_id: UUID, parts: Ours, tenant: Tenant, writing: Writing, cause: Because) -> Response:
    """Bring a deleted SMB back: scored anew, with its events and approvals; its campaign stays cancelled."""
    smb = await known_key(tenant, smb_id, deleted_too=True)

    async def restore(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.restore_smb(transaction, smb, now, cause=cause)
        return outcome, answer(await existing(transaction, smb), parts.policy)

    return await writing.write([smb], restore)


@routes.post("/{smb_id}/erase", status_code=204, responses=documented(404))
async def erase_smb(smb_id: UUID, tenant: Tenant, writing: Writing, cause: Because) -> Response:
    """Erase everything about an SMB, now and for good: profile, events, histories. Deleted ones as well."""
    smb = await known_key(tenant, smb_id, deleted_too=True)

    async def forget(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        return await erase(transaction, [smb], now, causation_id=cause.id), Answer(204)

    return await writing.write([smb], forget)


async def _change(  # noqa: PLR0913, PLR0917  where, what, why and when
    parts: Parts, transaction: Transaction, smb: SmbKey, fields: dict[str, Any], cause: Cause, now: datetime
) -> Outcome:
    change = smb_change_from(_identity(smb) | fields)
    return (await parts.records.change_smbs(transaction, [change], now, cause=cause)).outcome


def _identity(smb: SmbKey) -> dict[str, Any]:
    return {"tenant_id": smb.tenant_id, "id": smb.smb_id}
