"""Every SQL statement of the engagement service."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from services.engagement import scoring as score_sql
from services.engagement.rules import ANNOUNCED_STEP_POINTS, Groups
from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays, as_range
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Scoring


class EventRow(NamedTuple):
    """One event as it is stored; `seconds` is its duration, `reference` the id of what it is about."""

    tenant_id: UUID
    smb_id: UUID
    event_key: UUID
    kind: str
    occurred_at: datetime
    source: str
    event_id: str
    reference: str
    campaign_reference: str | None
    service: str | None
    url: str | None
    phone: str | None
    seconds: float | None
    partition_number: int
    partition_offset: int


class LastSeen(NamedTuple):
    """The latest moments of one SMB's new events, for the last_… columns; None where there was no such event."""

    email_open: datetime | None
    email_click: datetime | None
    content_view: datetime | None
    approval: datetime | None


class ToAnnounce(NamedTuple):
    """A score that is far enough from the one last announced."""

    smb: SmbKey
    old_score: int
    new_score: int
    groups: Groups


# Sorted, so that two transactions with the same events wait for each other instead of deadlocking.
INSERT_EVENTS = text(
    """
    INSERT INTO engagement_events
        (tenant_id, smb_id, event_key, kind, occurred_at, source, event_id, reference, campaign_reference, service,
        url, phone, seconds, partition_number, partition_offset, received_at)
    SELECT event.*, :now
    FROM unnest(
        CAST(:tenant_id AS uuid[]), CAST(:smb_id AS uuid[]), CAST(:event_key AS uuid[]),
        CAST(:kind AS engagement_kind[]), CAST(:occurred_at AS timestamptz[]), CAST(:source AS text[]),
        CAST(:event_id AS text[]), CAST(:reference AS text[]), CAST(:campaign_reference AS text[]),
        CAST(:service AS text[]), CAST(:url AS text[]), CAST(:phone AS text[]), CAST(:seconds AS float8[]),
        CAST(:partition_number AS integer[]), CAST(:partition_offset AS bigint[])) AS event
    ON CONFLICT (tenant_id, smb_id, event_key) DO NOTHING
    """,
)
FIND_EVENTS = text(
    """
    SELECT event.tenant_id, event.smb_id, event.event_key, CAST(event.kind AS text) AS kind, event.occurred_at,
        event.source, event.event_id, event.reference, event.campaign_reference, event.service, event.url,
        event.phone, event.seconds, event.partition_number, event.partition_offset, event.received_at
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:event_keys AS uuid[]))
        AS wanted (tenant_id, smb_id, event_key)
    JOIN engagement_events AS event ON event.tenant_id = wanted.tenant_id AND event.smb_id = wanted.smb_id
        AND event.event_key = wanted.event_key
    """,
)
MARK_ANNOUNCED = text(
    """
    UPDATE smb_heads AS head SET announced_score = head.engagement_score
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS told (tenant_id, smb_id)
    WHERE head.tenant_id = told.tenant_id AND head.smb_id = told.smb_id
    """,
)

# What all ways of scoring do with `scored`: save, and give back what is to be announced. Whether the SMB exists and
# is not deleted is asked only for the few that moved far enough.
_SAVE = """
    saved AS (
        UPDATE smb_heads AS head
        SET engagement_score = scored.score, engagement_scored_on = :as_of, last_now = :now{last_seen}
        FROM scored
        WHERE head.tenant_id = scored.tenant_id AND head.smb_id = scored.smb_id{changed}
        RETURNING head.tenant_id, head.smb_id, head.announced_score, scored.score, scored.reach, scored.response,
            scored.content, scored.approval
    )
"""
_IS_ANNOUNCED = f"""abs(score - announced_score) > {ANNOUNCED_STEP_POINTS} AND EXISTS (
        SELECT FROM smbs AS smb
        WHERE smb.tenant_id = saved.tenant_id AND smb.id = saved.smb_id AND smb.deleted_at IS NULL)"""
_ANNOUNCED = "tenant_id, smb_id, announced_score, score, reach, response, content, approval"
_LAST_SEEN = """,
            last_email_open = greatest(head.last_email_open, scored.email_open),
            last_email_click = greatest(head.last_email_click, scored.email_click),
            last_content_view = greatest(head.last_content_view, scored.content_view),
            last_approval = greatest(head.last_approval, scored.approved)"""
_TOUCHED = """
    touched AS (
        SELECT * FROM unnest(
            CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:email_open AS timestamptz[]),
            CAST(:email_click AS timestamptz[]), CAST(:content_view AS timestamptz[]), CAST(:approved AS timestamptz[]))
            AS touched (tenant_id, smb_id, email_open, email_click, content_view, approved)
    )
"""


@cache
def _score_ordinary(scoring: Scoring) -> TextClause:
    """For a batch: each touched SMB by a bounded reading of its events; those that do not fit come back unscored."""
    return text(
        f"""
        WITH {_TOUCHED}, probed AS MATERIALIZED ({score_sql.probe(scoring)}), scored AS (
            SELECT probed.*, {score_sql.total()} AS score FROM probed WHERE events <= {score_sql.ORDINARY_EVENTS}
        ), {_SAVE.format(last_seen=_LAST_SEEN, changed="")}
        SELECT {_ANNOUNCED} FROM saved WHERE {_IS_ANNOUNCED}
        UNION ALL
        SELECT tenant_id, smb_id, NULL, NULL, NULL, NULL, NULL, NULL FROM probed
        WHERE events > {score_sql.ORDINARY_EVENTS}
        """,
    )


@cache
def _score_hot(scoring: Scoring) -> TextClause:
    """For those few: kind by kind. In a statement of its own, because its plan takes milliseconds to set up."""
    return text(
        f"""
        WITH {_TOUCHED}, scored AS (
            SELECT each.*, {score_sql.total()} AS score FROM ({score_sql.hot(scoring)}) AS each
        ), {_SAVE.format(last_seen=_LAST_SEEN, changed="")}
        SELECT {_ANNOUNCED} FROM saved WHERE {_IS_ANNOUNCED}
        """,
    )


@cache
def _score_range(scoring: Scoring) -> TextClause:
    """For a nightly shard: one range of the index and one GROUP BY; only rows that change are written."""
    return text(
        f"""
        WITH {score_sql.WANTED}, scored AS (
            SELECT each.*, {score_sql.total()} AS score FROM ({score_sql.consecutive(scoring)}) AS each
        ), {_SAVE.format(last_seen="", changed=_CHANGED)}
        SELECT {_ANNOUNCED}, changed
        FROM (SELECT count(*) AS changed FROM saved) AS counted LEFT JOIN saved ON {_IS_ANNOUNCED}
        """,
    )


_CHANGED = """
            AND (head.engagement_score, head.engagement_scored_on) IS DISTINCT FROM (scored.score, :as_of)"""


async def insert_events(transaction: Transaction, rows: Sequence[EventRow], now: datetime) -> int:
    """Insert sorted rows whose identity is new; returns how many there were."""
    columns = dict(zip(EventRow._fields, map(list, zip(*rows, strict=True)), strict=True))
    return (await transaction.execute(INSERT_EVENTS, columns | {"now": now})).rowcount


async def find_events(transaction: Transaction, rows: Sequence[EventRow]) -> dict[tuple[int, int, int], Any]:
    """Read the stored events that have the identities of `rows`, by the integers of (tenant, SMB, event key)."""
    found = await transaction.execute(
        FIND_EVENTS,
        {
            "tenant_ids": [row.tenant_id for row in rows],
            "smb_ids": [row.smb_id for row in rows],
            "event_keys": [row.event_key for row in rows],
        },
    )
    return {(row.tenant_id.int, row.smb_id.int, row.event_key.int): row for row in found.all()}


async def score_touched(
    transaction: Transaction, last_seen: dict[SmbKey, LastSeen], scoring: Scoring, now: datetime
) -> list[ToAnnounce]:
    """Score these SMBs as of now from their events, save scores and last_…, return what is to be announced."""
    parameters = score_sql.parameters(scoring, now.date()) | {"now": now}
    found = await transaction.execute(_score_ordinary(scoring), parameters | _touched(last_seen))
    rows = found.all()
    hot = {key: last_seen[key] for row in rows if row.score is None for key in [SmbKey(row.tenant_id, row.smb_id)]}
    if hot:
        rows = [row for row in rows if row.score is not None]
        rows += (await transaction.execute(_score_hot(scoring), parameters | _touched(hot))).all()
    return [_to_announce(row) for row in rows]


async def score_range(
    transaction: Transaction, keys: Sequence[SmbKey], scoring: Scoring, now: datetime
) -> tuple[list[ToAnnounce], int]:
    """Score consecutive SMBs (sorted, at least one) as of now; returns what to announce and how many rows changed."""
    rows = await transaction.execute(
        _score_range(scoring),
        as_arrays(keys) | score_sql.parameters(scoring, now.date()) | as_range(keys[0], keys[-1]) | {"now": now},
    )
    found = rows.all()
    # Every row carries the count; a row without an SMB carries nothing else.
    return [_to_announce(row) for row in found if row.smb_id is not None], found[0].changed


async def mark_announced(transaction: Transaction, keys: Sequence[SmbKey]) -> None:
    """Remember the present scores of these SMBs as announced."""
    await transaction.execute(MARK_ANNOUNCED, as_arrays(keys))


def _touched(last_seen: dict[SmbKey, LastSeen]) -> dict[str, Any]:
    email_open, email_click, content_view, approved = map(list, zip(*last_seen.values(), strict=True))
    return as_arrays(list(last_seen)) | {
        "email_open": email_open,
        "email_click": email_click,
        "content_view": content_view,
        "approved": approved,
    }


def _to_announce(row: Row[Any]) -> ToAnnounce:
    return ToAnnounce(
        SmbKey(row.tenant_id, row.smb_id),
        row.announced_score,
        row.score,
        Groups(row.reach, row.response, row.content, row.approval),
    )
