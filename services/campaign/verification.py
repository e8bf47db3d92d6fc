"""Recomputes day and next send of each campaign by the pure rules, and compares it with what the SMB says.

As of the run's own refresh; a run that the last daily advance should have refreshed, and did not, is found by its send.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, text

from services.campaign.rules import OPEN, Campaign, Status, position
from shared.runtime.database import Transaction
from shared.runtime.differences import Difference, compare
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

KIND = "campaign"
KINDS = (KIND,)

SMBS = text(
    """
    SELECT smb.tenant_id, smb.id, smb.campaign_status, smb.current_campaign_id, smb.manifest_destiny_day,
        smb.manifest_destiny_start_date, smb.next_scheduled_send, advance.began AS advanced_at
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    LEFT JOIN (
        SELECT max(received_at) AS began FROM job_runs
        WHERE name = 'AdvanceManifestDestinyDay' AND status = 'finished'
    ) AS advance ON true
    """,
)
# Oldest first.
CAMPAIGNS = text(
    """
    SELECT campaign.*
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN campaigns AS campaign ON campaign.tenant_id = wanted.tenant_id AND campaign.smb_id = wanted.smb_id
    ORDER BY campaign.number
    """,
)


async def differences(transaction: Transaction, keys: Sequence[SmbKey], policy: Policy) -> list[Difference]:
    """Compare all runs of these SMBs, and each SMB with its newest run."""
    del policy
    runs: defaultdict[SmbKey, list[Row[Any]]] = defaultdict(list)
    for row in (await transaction.execute(CAMPAIGNS, as_arrays(keys))).all():
        runs[SmbKey(row.tenant_id, row.smb_id)].append(row)
    found: list[Difference] = []
    for row in (await transaction.execute(SMBS, as_arrays(keys))).all():
        smb = SmbKey(row.tenant_id, row.id)
        for run in runs[smb]:
            found += _of_run(smb, run)
        found += _of_smb(smb, row, runs[smb][-1] if runs[smb] else None)
    return found


def _of_run(smb: SmbKey, run: Row[Any]) -> Iterator[Difference]:
    """Day and next send as of the stored refresh: what has passed since then is the next refresh's."""
    campaign = Campaign(
        id=run.id,
        status=Status(run.status),
        start_date=run.start_date,
        day_one=run.day_one,
        day=run.day,
        next_send=run.next_send,
        timezone=run.timezone,
        send_time=run.send_time,
        refreshed_at=run.refreshed_at,
    )
    right = position(campaign, campaign.refreshed_at)
    pairs: dict[str, tuple[object, object]] = {
        "day": (run.day, right.day),
        "next_send": (run.next_send, right.next_send),
    }
    for difference in compare(smb, KIND, pairs):
        yield difference._replace(what=f"{difference.what} of campaign {run.id}")


def _of_smb(smb: SmbKey, row: Row[Any], newest: Row[Any] | None) -> Iterator[Difference]:
    open_run = newest.id if newest and newest.status in OPEN else None
    yield from compare(
        smb,
        KIND,
        {
            "campaign_status": (row.campaign_status, newest.status if newest else Status.DRAFT.value),
            "current_campaign_id": (row.current_campaign_id, open_run),
            "manifest_destiny_day": (row.manifest_destiny_day, newest.day if newest else None),
            "manifest_destiny_start_date": (row.manifest_destiny_start_date, newest.start_date if newest else None),
            "next_scheduled_send": (row.next_scheduled_send, newest.next_send if newest else None),
        },
    )
    if row.advanced_at and row.next_scheduled_send and row.next_scheduled_send < row.advanced_at:
        # A finished advance has moved every send that was over; whatever started since lies after it.
        due = f"after the daily advance of {row.advanced_at}"
        yield Difference(smb, KIND, "next_scheduled_send", row.next_scheduled_send, due)
