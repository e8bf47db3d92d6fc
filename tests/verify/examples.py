"""What the tests of `verify` put into the database, and how they ask it."""

from datetime import datetime, time
from uuid import UUID, uuid4

from services.campaign.rules import Campaign, Circumstances, Start, decide
from services.verify import verify
from shared.runtime.database import Database
from shared.runtime.differences import Difference
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.installation import Installation

OPEN_RUN = """
    INSERT INTO campaigns (tenant_id, id, smb_id, status, start_date, day_one, day, next_send, timezone, send_time,
        refreshed_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
RUNNING = """
    UPDATE smbs SET campaign_status = $3, current_campaign_id = $4, manifest_destiny_day = $5,
        manifest_destiny_start_date = $6, next_scheduled_send = $7
    WHERE tenant_id = $1 AND id = $2
"""


async def start_campaign(installation: Installation, smb: SmbKey, began: datetime) -> None:
    """Put a run into the tables as the campaign service did at that moment."""
    decision = decide(None, Start(), Circumstances(time(9), "America/New_York"), began, uuid4())
    run = decision.campaign
    assert isinstance(run, Campaign)
    columns = (run.status.value, run.start_date, run.day_one, run.day, run.next_send, run.timezone, run.send_time)
    await installation.fetch(OPEN_RUN, smb.tenant_id, run.id, smb.smb_id, *columns, run.refreshed_at)
    await installation.fetch(
        RUNNING, smb.tenant_id, smb.smb_id, run.status.value, run.id, run.day, run.start_date, run.next_send
    )


async def differences(
    installed: Installation | Database,
    policy: Policy | None = None,
    chunk_smbs: int = 1000,
    tenant_id: UUID | None = None,
) -> list[Difference]:
    """What `verify` reports."""
    found: list[Difference] = []
    database = installed if isinstance(installed, Database) else installed.database
    await verify(
        database,
        policy or Policy.default(),
        tenant_id=tenant_id,
        chunk_smbs=chunk_smbs,
        on_difference=found.append,
    )
    return found
