"""Every SQL statement of engagement's views, all of the view `own_events`: the events of the transaction's tenant.

What is counted or listed is read kind by kind, so that each reading is one range of the scoring index.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from services.engagement import scoring as score_sql
from services.engagement.rules import APPROVED, KINDS, CountedEvents
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Scoring


class EventPosition(NamedTuple):
    """Where an event stands in a timeline; events of one moment stand in the order of their keys."""

    occurred_at: datetime
    event_key: UUID


class SendPosition(NamedTuple):
    """Where a send stands in the list: by the first reaction, which stays, whatever else becomes of the message."""

    first_at: datetime
    channel: str
    campaign_id: str
    reference: str


_OF_SMB = "event.tenant_id = :tenant_id AND event.smb_id = :smb_id AND event.kind = wanted.kind"
# The order of the whole index: the planner does not know that one kind is left (an enum's equality is not leakproof,
# and the table is under row-level security). Events of the last moment come all, to be put in order by their keys.
READ_TIMELINE = text(
    f"""
    SELECT page.*
    FROM unnest(CAST(:kinds AS engagement_kind[])) AS wanted (kind) CROSS JOIN LATERAL (
        SELECT event_key, event_id, source, CAST(event.kind AS text) AS kind, occurred_at, received_at, reference,
            campaign_reference, service, url, phone, seconds
        FROM own_events AS event
        WHERE {_OF_SMB} AND occurred_at >= :since AND occurred_at < :until
            AND occurred_at <= :last_occurred_at AND (occurred_at, event_key) < (:last_occurred_at, :last_event_key)
        ORDER BY event.kind DESC, occurred_at DESC FETCH FIRST :at_most ROWS WITH TIES
    ) AS page
    ORDER BY occurred_at DESC, event_key DESC LIMIT :at_most
    """
)
READ_SENDS = text(
    f"""
    WITH reaction AS MATERIALIZED (
        SELECT newest.*
        FROM unnest(CAST('{{email_opened,email_clicked,rvm_delivered}}' AS engagement_kind[])) AS wanted (kind)
        CROSS JOIN LATERAL (
            SELECT event.kind, occurred_at, campaign_reference, reference FROM own_events AS event
            WHERE {_OF_SMB} ORDER BY event.kind DESC, occurred_at DESC LIMIT CAST(:reactions_most AS bigint) + 1
        ) AS newest
    ), send AS (
        SELECT CASE kind WHEN 'rvm_delivered' THEN 'rvm' ELSE 'email' END AS channel,
            campaign_reference AS campaign_id, reference, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
            count(*) FILTER (WHERE kind = 'email_opened') AS opened,
            count(*) FILTER (WHERE kind = 'email_clicked') AS clicked,
            count(*) FILTER (WHERE kind = 'rvm_delivered') AS delivered
        FROM reaction WHERE campaign_reference IS NOT NULL
        GROUP BY channel, campaign_id, reference
    )
    SELECT page.*, is_cut
    FROM (
        SELECT EXISTS (SELECT FROM reaction GROUP BY kind HAVING count(*) > :reactions_most) AS is_cut
    ) AS looked_at LEFT JOIN (
        SELECT * FROM send
        WHERE (first_at, channel, campaign_id, reference) < (:first_at, :channel, :campaign_id, :reference)
        ORDER BY first_at DESC, channel DESC, campaign_id DESC, reference DESC LIMIT :at_most
    ) AS page ON true
    ORDER BY first_at DESC, channel DESC, campaign_id DESC, reference DESC
    """
)
READ_STANDING = text(
    """
    SELECT smb.engagement_tier, head.engagement_score, head.engagement_scored_on
    FROM smbs AS smb JOIN smb_heads AS head ON head.tenant_id = smb.tenant_id AND head.smb_id = smb.id
    WHERE smb.tenant_id = :tenant_id AND smb.id = :smb_id
    """,
)
# The score knows an event by its kind and UTC day alone; counted by these, a million events are a few rows.
_COUNTED = f"""
    SELECT CAST(wanted.kind AS text) AS kind, per_day.day, per_day.events
    FROM unnest(CAST(:kinds AS engagement_kind[])) AS wanted (kind) CROSS JOIN LATERAL (
        SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day, count(*) AS events FROM own_events AS event
        WHERE {_OF_SMB} AND occurred_at < {{until}}
            AND occurred_at >= CASE wanted.kind WHEN '{APPROVED}' THEN '-infinity' ELSE {{since}} END
        GROUP BY day
    ) AS per_day
"""
READ_COUNTED = text(_COUNTED.format(since="CAST(:since AS timestamptz)", until="'infinity'"))


@cache
def _read_history(scoring: Scoring) -> TextClause:
    """The days' beginnings are computed here, where there is a year 0."""
    since = f"CAST(CAST(:first AS date) - {scoring.window_days - 1} AS timestamp) AT TIME ZONE 'UTC'"
    until = "CAST(CAST(:last AS date) + 1 AS timestamp) AT TIME ZONE 'UTC'"
    counted = _COUNTED.format(since=since, until=until)
    return text(
        f"""
        WITH counted AS MATERIALIZED ({counted})
        SELECT * FROM ({score_sql.history(scoring)}) AS history ORDER BY day
        """,
    )


async def read_timeline(  # noqa: PLR0913  each bounds what is read
    transaction: Transaction,
    smb: SmbKey,
    *,
    kinds: Sequence[str],
    since: datetime,
    until: datetime,
    after: EventPosition,
    at_most: int,
) -> Sequence[Row[Any]]:
    """Read the next events behind `after`, newest first."""
    parameters = {"kinds": list(kinds), "since": since, "until": until, "at_most": at_most}
    last = {f"last_{name}": value for name, value in after._asdict().items()}
    return (await transaction.execute(READ_TIMELINE, smb._asdict() | parameters | last)).all()


async def read_sends(
    transaction: Transaction, smb: SmbKey, *, after: SendPosition, at_most: int, reactions_most: int
) -> tuple[Sequence[Row[Any]], bool]:
    """Read the next sends behind `after`, latest first reaction first; and whether some reactions were left out."""
    parameters = {"at_most": at_most, "reactions_most": reactions_most}
    rows = (await transaction.execute(READ_SENDS, smb._asdict() | after._asdict() | parameters)).all()
    # Every row tells whether it is cut; a row without a send tells nothing else.
    return [row for row in rows if row.channel is not None], rows[0].is_cut


async def read_standing(transaction: Transaction, smb: SmbKey) -> Row[Any] | None:
    """Read the stored tier and score; None when the tenant has no such SMB."""
    return (await transaction.execute(READ_STANDING, smb._asdict())).one_or_none()


async def read_counted(transaction: Transaction, smb: SmbKey, since: datetime) -> list[CountedEvents]:
    """Count all approvals, and the other events from `since` on, by kind and UTC day."""
    parameters = {"kinds": list(KINDS), "since": since.astimezone(UTC)}
    rows = await transaction.execute(READ_COUNTED, smb._asdict() | parameters)
    return [CountedEvents(row.kind, row.day, row.events) for row in rows.all()]


async def read_history(
    transaction: Transaction, smb: SmbKey, scoring: Scoring, first: date, last: date
) -> Sequence[Row[Any]]:
    """Compute the groups of each day from `first` to `last`, both included, in order."""
    parameters = {"kinds": list(KINDS), "first": first, "last": last}
    return (await transaction.execute(_read_history(scoring), smb._asdict() | parameters)).all()
