"""Every SQL statement about campaigns, their history and the services that wait to be activated."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from services.campaign.rules import Campaign, Circumstances, Status
from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey


class Standing(NamedTuple):
    """An SMB's newest run (None: it never had one) and what bears on it."""

    campaign: Campaign | None
    circumstances: Circumstances


class TransitionRow(NamedTuple):
    """One entry of an SMB's campaign history; `caused_by` is the id of the message that led to it."""

    tenant_id: UUID
    smb_id: UUID
    campaign_id: UUID | None
    action: str
    outcome: str
    old_status: str
    new_status: str
    day: int | None
    reason: str | None
    caused_by: str | None


class Services(NamedTuple):
    """What one SMB has activated, and what it approved and nobody has activated yet."""

    activated: tuple[str, ...]
    pending: tuple[str, ...]
    is_deleted: bool


_STANDINGS = """
    SELECT smb.tenant_id, smb.id AS smb_id, smb.do_not_contact, smb.deleted_at IS NOT NULL AS is_deleted,
        community.timezone AS community_timezone, run.id, run.status, run.start_date, run.day_one, run.day,
        run.next_send, run.timezone, run.send_time, run.refreshed_at
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    LEFT JOIN communities AS community
        ON community.tenant_id = smb.tenant_id AND community.id = smb.community_id
    LEFT JOIN LATERAL (
        SELECT * FROM campaigns AS campaign
        WHERE campaign.tenant_id = smb.tenant_id AND campaign.smb_id = smb.id
        ORDER BY campaign.number DESC LIMIT 1) AS run ON true
"""
READ_STANDINGS = text(_STANDINGS)
READ_MOVING_STANDINGS = text(f"{_STANDINGS} WHERE smb.campaign_status IN ('scheduled', 'running')")
# In the order given: an open run is closed before the next one of its SMB is opened, and runs are numbered so.
SAVE_CAMPAIGNS = text(
    """
    WITH run AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:ids AS uuid[]),
            CAST(:statuses AS text[]), CAST(:start_dates AS date[]), CAST(:day_ones AS date[]),
            CAST(:days AS smallint[]), CAST(:next_sends AS timestamptz[]), CAST(:timezones AS text[]),
            CAST(:send_times AS time[]), CAST(:refreshed_at AS timestamptz[]), CAST(:are_open AS boolean[]),
            CAST(:are_newest AS boolean[]))
            WITH ORDINALITY AS run (tenant_id, smb_id, id, status, start_date, day_one, day, next_send, timezone,
                send_time, refreshed_at, is_open, is_newest, place)
    ), saved AS (
        INSERT INTO campaigns AS campaign (tenant_id, id, smb_id, status, start_date, day_one, day, next_send, timezone,
            send_time, refreshed_at, created_at, ended_at)
        SELECT tenant_id, id, smb_id, status, start_date, day_one, day, next_send, timezone, send_time, refreshed_at,
            :now, CASE WHEN NOT is_open THEN CAST(:now AS timestamptz) END
        FROM run ORDER BY place
        ON CONFLICT (tenant_id, id) DO UPDATE
        SET status = excluded.status, start_date = excluded.start_date, day_one = excluded.day_one,
            day = excluded.day, next_send = excluded.next_send, timezone = excluded.timezone,
            send_time = excluded.send_time, refreshed_at = excluded.refreshed_at, ended_at = excluded.ended_at
    )
    UPDATE smbs AS smb
    SET campaign_status = run.status, current_campaign_id = CASE WHEN run.is_open THEN run.id END,
        manifest_destiny_day = run.day, manifest_destiny_start_date = run.start_date,
        next_scheduled_send = run.next_send
    FROM run WHERE run.is_newest AND smb.tenant_id = run.tenant_id AND smb.id = run.smb_id
    """,
)
INSERT_TRANSITIONS = text(
    """
    INSERT INTO campaign_transitions
        (tenant_id, smb_id, campaign_id, action, outcome, old_status, new_status, day, reason, caused_by, occurred_at)
    SELECT tenant_id, smb_id, campaign_id, action, outcome, old_status, new_status, day, reason, caused_by, :now
    FROM unnest(CAST(:tenant_id AS uuid[]), CAST(:smb_id AS uuid[]), CAST(:campaign_id AS uuid[]),
        CAST(:action AS text[]), CAST(:outcome AS text[]), CAST(:old_status AS text[]), CAST(:new_status AS text[]),
        CAST(:day AS smallint[]), CAST(:reason AS text[]), CAST(:caused_by AS text[]))
        WITH ORDINALITY AS step (tenant_id, smb_id, campaign_id, action, outcome, old_status, new_status, day, reason,
            caused_by, place)
    ORDER BY place
    """,
)
FIND_MOVING_RANGES = text(
    """
    SELECT range.place - 1
    FROM unnest(CAST(:first_tenant_ids AS uuid[]), CAST(:first_smb_ids AS uuid[]), CAST(:last_tenant_ids AS uuid[]),
        CAST(:last_smb_ids AS uuid[]))
        WITH ORDINALITY AS range (first_tenant_id, first_smb_id, last_tenant_id, last_smb_id, place)
    WHERE EXISTS (
        SELECT FROM smbs AS smb
        WHERE smb.campaign_status IN ('scheduled', 'running')
            AND (smb.tenant_id, smb.id) >= (range.first_tenant_id, range.first_smb_id)
            AND (smb.tenant_id, smb.id) <= (range.last_tenant_id, range.last_smb_id))
    ORDER BY range.place
    """,
)
READ_SERVICES = text(
    """
    SELECT smb.tenant_id, smb.id AS smb_id, CAST(smb.services_activated AS text) AS activated,
        CAST(smb.services_approved_pending AS text) AS pending, smb.deleted_at IS NOT NULL AS is_deleted
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    """,
)
SAVE_PENDING_SERVICES = text(
    """
    UPDATE smbs AS smb SET services_approved_pending = CAST(changed.pending AS jsonb), updated_at = :now,
        revision = smb.revision + 1
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:pending AS text[]))
        AS changed (tenant_id, smb_id, pending)
    WHERE smb.tenant_id = changed.tenant_id AND smb.id = changed.smb_id
    """,
)


async def read_standings(
    transaction: Transaction, keys: Sequence[SmbKey], send_time: time, *, moving: bool = False
) -> dict[SmbKey, Standing]:
    """Read these SMBs' newest runs and circumstances; unknown SMBs are left out.

    With `moving` only those are read whose campaign is scheduled or running, which is all that time changes.
    """
    statement = READ_MOVING_STANDINGS if moving else READ_STANDINGS
    rows = (await transaction.execute(statement, as_arrays(keys))).all()
    return {
        SmbKey(row.tenant_id, row.smb_id): Standing(
            None if row.id is None else _campaign(row),
            _circumstances(row, send_time),
        )
        for row in rows
    }


async def save_campaigns(transaction: Transaction, runs: Mapping[SmbKey, Sequence[Campaign]], now: datetime) -> None:
    """Store changed runs, each SMB's in the order of their opening, and what the SMBs themselves show of the last."""
    rows = [(smb, run, run is changed[-1]) for smb, changed in sorted(runs.items()) for run in changed]
    await transaction.execute(
        SAVE_CAMPAIGNS,
        as_arrays([smb for smb, _, _ in rows])
        | {
            "ids": [run.id for _, run, _ in rows],
            "statuses": [run.status.value for _, run, _ in rows],
            "start_dates": [run.start_date for _, run, _ in rows],
            "day_ones": [run.day_one for _, run, _ in rows],
            "days": [run.day for _, run, _ in rows],
            "next_sends": [run.next_send for _, run, _ in rows],
            "timezones": [run.timezone for _, run, _ in rows],
            "send_times": [run.send_time for _, run, _ in rows],
            "refreshed_at": [run.refreshed_at for _, run, _ in rows],
            "are_open": [run.is_open for _, run, _ in rows],
            "are_newest": [is_newest for _, _, is_newest in rows],
            "now": now,
        },
    )


async def insert_transitions(transaction: Transaction, rows: Sequence[TransitionRow], now: datetime) -> None:
    """Add to the history of campaigns, in the order given."""
    columns = dict(zip(TransitionRow._fields, map(list, zip(*rows, strict=True)), strict=True))
    await transaction.execute(INSERT_TRANSITIONS, columns | {"now": now})


async def moving_ranges(
    transaction: Transaction, ranges: Sequence[tuple[SmbKey, SmbKey]]
) -> list[tuple[SmbKey, SmbKey]]:
    """Give those of these key ranges that hold a scheduled or running campaign."""
    places = await transaction.execute(
        FIND_MOVING_RANGES,
        {
            "first_tenant_ids": [first.tenant_id for first, _ in ranges],
            "first_smb_ids": [first.smb_id for first, _ in ranges],
            "last_tenant_ids": [last.tenant_id for _, last in ranges],
            "last_smb_ids": [last.smb_id for _, last in ranges],
        },
    )
    return [ranges[place] for place in places.scalars()]


async def read_services(transaction: Transaction, keys: Sequence[SmbKey]) -> dict[SmbKey, Services]:
    """Read the service lists of these SMBs; unknown SMBs are left out."""
    rows = await transaction.execute(READ_SERVICES, as_arrays(keys))
    return {
        SmbKey(row.tenant_id, row.smb_id): Services(
            tuple(json.loads(row.activated)), tuple(json.loads(row.pending)), row.is_deleted
        )
        for row in rows.all()
    }


async def save_pending_services(
    transaction: Transaction, pending: Mapping[SmbKey, Iterable[str]], now: datetime
) -> None:
    """Store the pending services of these SMBs, whose profiles change by that."""
    ordered = sorted(pending)
    parameters: dict[str, Any] = {"pending": [json.dumps(list(pending[smb])) for smb in ordered], "now": now}
    await transaction.execute(SAVE_PENDING_SERVICES, as_arrays(ordered) | parameters)


def _campaign(row: Row[Any]) -> Campaign:
    return Campaign(
        id=row.id,
        status=Status(row.status),
        start_date=row.start_date,
        day_one=row.day_one,
        day=row.day,
        next_send=row.next_send,
        timezone=row.timezone,
        send_time=row.send_time,
        refreshed_at=row.refreshed_at,
    )


def _circumstances(row: Row[Any], send_time: time) -> Circumstances:
    without_zone = Circumstances(send_time, do_not_contact=row.do_not_contact, is_deleted=row.is_deleted)
    if row.community_timezone is None:
        return without_zone
    return Circumstances(send_time, row.community_timezone, row.do_not_contact, row.is_deleted)
