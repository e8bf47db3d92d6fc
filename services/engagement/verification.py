"""Recomputes scores, last_… and what should have been announced from the events, by the pure rules."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, text

from services.engagement import rules
from services.engagement.rules import CountedEvents
from shared.runtime.database import Transaction
from shared.runtime.differences import Difference, compare
from shared.runtime.heads import as_arrays, as_range
from shared.runtime.jobs import LEDGER_KEEPS
from shared.schemas.announcements import SMBEngagementChanged
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

SCORE = "score"
LAST_SEEN = "last_seen"
ANNOUNCED = "announced"
KINDS = (SCORE, LAST_SEEN, ANNOUNCED)

LAST_COLUMNS = {
    "last_email_open": ("email_opened",),
    "last_email_click": ("email_clicked",),
    "last_content_view": ("content_viewed", "content_completed"),
    "last_approval": (rules.APPROVED,),
}

# A finished recalculation has scored every SMB that it found, on the day of its trigger or later. The last announcement
# counts while it is surely kept: older ones are removed bit by bit. One of an erased SMB may wait for Kafka still.
HEADS = text(
    """
    SELECT head.*, smb.id IS NOT NULL AND smb.deleted_at IS NULL AS live,
        CASE WHEN smb.deleted_at IS NULL AND smb.created_at < recalculation.began
            THEN CAST(recalculation.began AT TIME ZONE 'UTC' AS date) END AS recalculated_on,
        told.value AS told
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smb_heads AS head USING (tenant_id, smb_id)
    LEFT JOIN smbs AS smb ON smb.tenant_id = head.tenant_id AND smb.id = head.smb_id
    LEFT JOIN (
        SELECT max(received_at) AS began FROM job_runs
        WHERE name = 'RecalculateEngagementScores' AND status = 'finished'
    ) AS recalculation ON true
    LEFT JOIN LATERAL (
        SELECT value FROM outgoing_messages AS message
        WHERE message.tenant_id = head.tenant_id AND message.smb_id = head.smb_id AND head.erased_at IS NULL
            AND message.type = 'SMBEngagementChanged'
            AND message.created_at > clock_timestamp() - CAST(:keeps AS interval)
        ORDER BY message.epoch DESC, message.sequence DESC LIMIT 1
    ) AS told ON true
    """,
)
# The score knows an event by its kind and UTC day alone; counted by these, an SMB with a million events is a few rows.
EVENTS = text(
    """
    SELECT tenant_id, smb_id, CAST(kind AS text) AS kind, CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day,
        count(*) AS events, max(occurred_at) AS latest
    FROM engagement_events
    WHERE (tenant_id, smb_id) >= (:first_tenant_id, :first_smb_id)
        AND (tenant_id, smb_id) <= (:last_tenant_id, :last_smb_id)
    GROUP BY tenant_id, smb_id, kind, day
    """,
)


async def differences(
    transaction: Transaction, keys: Sequence[SmbKey], policy: Policy, first: SmbKey, last: SmbKey
) -> list[Difference]:
    """Compare what the heads say with what the events give, from `first` to `last`; `keys` are all heads of this range.

    Whoever stores an event locks its head first, so there is no event without one.
    """
    events: defaultdict[SmbKey, list[Row[Any]]] = defaultdict(list)
    for row in (await transaction.execute(EVENTS, as_range(first, last))).all():
        events[SmbKey(row.tenant_id, row.smb_id)].append(row)
    found: list[Difference] = []
    for head in (await transaction.execute(HEADS, as_arrays(keys) | {"keeps": LEDGER_KEEPS})).all():
        smb = SmbKey(head.tenant_id, head.smb_id)
        # What may be left of an erased SMB is for the records service to find.
        own = events.pop(smb, [])
        found += _of_head(smb, head, own if head.erased_at is None else [], policy)
    for smb, without_head in events.items():
        found += compare(smb, SCORE, {"events of an SMB without a head": (sum(one.events for one in without_head), 0)})
    return found


def _of_head(smb: SmbKey, head: Row[Any], events: Sequence[Row[Any]], policy: Policy) -> Iterator[Difference]:
    if head.engagement_scored_on is None:
        # Whoever stores an event scores its SMB; an erased one has neither.
        yield from compare(smb, SCORE, {"events of an SMB without score": (sum(one.events for one in events), 0)})
    if head.recalculated_on and (head.engagement_scored_on or date.min) < head.recalculated_on:
        due = f"{head.recalculated_on} or later"
        yield Difference(smb, SCORE, "engagement_scored_on", head.engagement_scored_on, due)
    score = score_of(events, policy, head.engagement_scored_on) if head.engagement_scored_on else 0
    yield from compare(smb, SCORE, {"engagement_score": (head.engagement_score, score)})
    for column, kinds in LAST_COLUMNS.items():
        latest = max((one.latest for one in events if one.kind in kinds), default=None)
        yield from compare(smb, LAST_SEEN, {column: (getattr(head, column), latest)})
    yield from _of_announced(smb, head)


def _of_announced(smb: SmbKey, head: Row[Any]) -> Iterator[Difference]:
    told = SMBEngagementChanged.model_validate_json(head.told).new_score if head.told else head.announced_score
    if head.announced_score != told:
        yield Difference(smb, ANNOUNCED, "announced_score", head.announced_score, f"{told} as in the last announcement")
    elif head.live and rules.is_announced(head.announced_score, head.engagement_score):
        near = f"within {rules.ANNOUNCED_STEP_POINTS} of {head.engagement_score}"
        yield Difference(smb, ANNOUNCED, "announced_score", head.announced_score, near)


def score_of(counted: Sequence[Row[Any]], policy: Policy, as_of: date) -> int:
    """Score events that are counted by `kind` and UTC `day` (rows with these and `events`), by the pure rule."""
    events = [CountedEvents(row.kind, row.day, row.events) for row in counted]
    return rules.score_counted(events, policy.score, as_of).score
