"""Campaigns: start, schedule, pause, resume, cancel, by the code that the campaign worker runs."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Body
from starlette.responses import Response

from services.api.causes import Because
from services.api.idempotency import Answer
from services.api.models.campaigns import CampaignPause, CampaignReason, CampaignSchedule
from services.api.models.smbs import Smb
from services.api.parts import Ours, Parts, Tenant
from services.api.problems import Problem, documented
from services.api.routing import router
from services.api.showing import answer, existing, known_key
from services.api.writing import Writer, Writing
from services.campaign.decisions import Cause, command_one
from services.campaign.rules import Cancel, Command, Pause, Refusal, RefusalName, Resume, Schedule, Start, Status
from shared.runtime.database import TenantDatabase, Transaction
from shared.runtime.outcome import Outcome

routes = router("/smbs/{smb_id}/campaign", "Campaigns")
RESPONSES = documented(404, 409, 415)
# What each command would have led to, so that a refusal can name both states.
LEADS_TO: dict[type[Command], Status] = {
    Start: Status.RUNNING,
    Schedule: Status.SCHEDULED,
    Pause: Status.PAUSED,
    Resume: Status.RUNNING,
    Cancel: Status.CANCELLED,
}
# Refusals that are about the date asked for, not about the campaign's state.
OF_THE_DATE = frozenset({RefusalName.START_DATE_NOT_AHEAD, RefusalName.START_DATE_TOO_FAR_AHEAD})
NO_REASON = CampaignReason()
OptionalReason = Annotated[CampaignReason, Body()]


@routes.post("/start", response_model=Smb, responses=RESPONSES)
async def start_campaign(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    body: OptionalReason = NO_REASON,
) -> Response:
    """Begin a new run: day 1 is the next send moment."""
    return await _command(smb_id, Start(body.reason), parts, tenant, writing, cause)


@routes.post("/schedule", response_model=Smb, responses=RESPONSES)
async def schedule_campaign(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID, body: CampaignSchedule, parts: Ours, tenant: Tenant, writing: Writing, cause: Because
) -> Response:
    """Plan a run for a date ahead, or move the planned one."""
    return await _command(smb_id, Schedule(body.start_date, body.reason), parts, tenant, writing, cause)


@routes.post("/pause", response_model=Smb, responses=RESPONSES)
async def pause_campaign(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID, body: CampaignPause, parts: Ours, tenant: Tenant, writing: Writing, cause: Because
) -> Response:
    """Send nothing until it is resumed; the day is kept."""
    return await _command(smb_id, Pause(body.reason), parts, tenant, writing, cause)


@routes.post("/resume", response_model=Smb, responses=RESPONSES)
async def resume_campaign(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    body: OptionalReason = NO_REASON,
) -> Response:
    """Go on with the day that had not been sent."""
    return await _command(smb_id, Resume(body.reason), parts, tenant, writing, cause)


@routes.post("/cancel", response_model=Smb, responses=RESPONSES)
async def cancel_campaign(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    body: OptionalReason = NO_REASON,
) -> Response:
    """End the run for good; day and start date stay readable."""
    return await _command(smb_id, Cancel(body.reason), parts, tenant, writing, cause)


async def _command(  # noqa: PLR0913, PLR0917  whom, what and with which parts
    smb_id: UUID, command: Command, parts: Parts, tenant: TenantDatabase, writing: Writer, cause: Cause
) -> Response:
    smb = await known_key(tenant, smb_id)

    async def act(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        await existing(transaction, smb)
        decision, outcome = await command_one(transaction, smb, command, parts.campaign.send_time, now, cause)
        if decision.refusal is not None:
            raise _refused(command, decision.refusal)
        return outcome, answer(await existing(transaction, smb), parts.policy)

    return await writing.write([smb], act)


def _refused(command: Command, refusal: Refusal) -> Problem:
    field = "start_date" if refusal.name in OF_THE_DATE else "campaign_status"
    detail = f"{refusal.reason}, so it can't become {LEADS_TO[type(command)]}"
    return Problem(409, refusal.name.replace("_", "-"), detail, errors=[(field, refusal.reason)])
