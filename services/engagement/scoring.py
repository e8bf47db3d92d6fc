"""The score in SQL: one expression, built from the policy here, that batches, nightly shards and histories share.

A property test holds it to `rules.score`.
"""

from datetime import date
from math import ceil
from typing import Any

from services.engagement.rules import APPROVED, BILLIONTHS, BILLIONTHS_IN_A_HUNDREDTH, GROUPS, HIGHEST_SCORE, window
from shared.schemas.policy import Scoring, hundredths

# An SMB with more events than this is hot: its score reads, per kind, only as many as reach the cap.
ORDINARY_EVENTS = 400
# Approvals of a hot SMB that are read first; all the others only if these do not reach the cap.
NEWEST_APPROVALS = 1000
# PostgreSQL refuses a product that is too small for a float, where Python gives 0; both round to 0 long before. An
# approval before a history may decay by so much twice.
HALF_LIVES = 500


# SMBs in the order of their keys, as arrays.
WANTED = """
    wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    )
"""


def parameters(scoring: Scoring, as_of: date) -> dict[str, Any]:
    """The dates that the expressions are bound to: as_of, since (included), until (excluded)."""
    since, until = window(scoring, as_of)
    return {"as_of": as_of, "since": since, "until": until}


def aggregates(scoring: Scoring) -> str:
    """Columns reach, response, content, approval in billionths, over rows (kind, occurred_at).

    The dates stand here and in no WHERE beside (tenant, SMB): the planner would take them for a reason to skip
    through the scoring index kind by kind, find that dear, and read the table instead.
    """
    return ",\n".join(
        (*(_windowed(scoring, group) for group in GROUPS), _capped_approval(scoring, approval_sum(scoring)))
    )


def total() -> str:
    """The score from the four columns."""
    everything = HIGHEST_SCORE * BILLIONTHS
    return f"CAST(least({everything}, reach + response + content + approval) / {BILLIONTHS} AS smallint)"


def approval_sum(scoring: Scoring) -> str:
    """The decayed points of all approved approvals among the rows, as a float."""
    decay = _decay(scoring, "(:as_of - CAST(occurred_at AT TIME ZONE 'UTC' AS date))")
    return (
        f"coalesce(sum({_approval_points(scoring)} * {decay})"
        f" FILTER (WHERE kind = '{APPROVED}' AND occurred_at < :until), 0)"
    )


def _capped_approval(scoring: Scoring, points: str) -> str:
    return f"CAST(round(least({scoring.caps.approval}, {points}) * {BILLIONTHS}) AS bigint) AS approval"


def _approval_points(scoring: Scoring) -> str:
    return f"CAST('{scoring.approval.points}' AS float8)"


def _decay(scoring: Scoring, age_days: str) -> str:
    """What is left of an approval's points after so many days."""
    half_lives = f"{age_days} / CAST({scoring.approval.half_life_days} AS float8)"
    return f"power(CAST(0.5 AS float8), least({HALF_LIVES}, {half_lives}))"


def _windowed(scoring: Scoring, group: str) -> str:
    inside = "FILTER (WHERE occurred_at >= :since AND occurred_at < :until)"
    return _capped(scoring, group, f"sum({_points(scoring, group)}) {inside}")


def _points(scoring: Scoring, group: str) -> str:
    """What one event of the group is worth, in hundredths; NULL for an event of another group."""
    cases = " ".join(f"WHEN '{kind}' THEN {_weight(scoring, kind)}" for kind in GROUPS[group])
    return f"CASE kind {cases} END"


def _capped(scoring: Scoring, group: str, points: str) -> str:
    cap = hundredths(getattr(scoring.caps, group))
    return f"least({cap}, coalesce({points}, 0)) * CAST({BILLIONTHS_IN_A_HUNDREDTH} AS bigint) AS {group}"


def history(scoring: Scoring) -> str:
    """A query over `counted` (kind, day, events) that gives the four for each `day` from :first to :last.

    `counted` has all approvals up to :last, and the other events of these days and of the window before them. What it
    costs depends on days alone: each group is summed once per day and then over the window, and approvals up to
    :first are taken together before they decay on.
    """
    groups = ", ".join(f"sum(events * {_points(scoring, group)}) AS {group}" for group in GROUPS)
    past = f"(ORDER BY day ROWS BETWEEN {scoring.window_days - 1} PRECEDING AND CURRENT ROW)"
    windowed = ", ".join(_capped(scoring, group, f"CAST(sum({group}) OVER {past} AS bigint)") for group in GROUPS)
    approved = f"events * {_approval_points(scoring)} * {_decay(scoring, 'greatest(CAST(:first AS date) - day, 0)')}"
    left = f"sum(points * {_decay(scoring, '(scored.day - approvals.day)')})"
    approval = f"(SELECT coalesce({left}, 0) FROM approvals WHERE approvals.day <= scored.day)"
    return f"""
        WITH daily AS (
            SELECT day, {groups} FROM counted WHERE kind <> '{APPROVED}' GROUP BY day
        ), windowed AS (
            SELECT day, {windowed}
            FROM (
                SELECT CAST(:first AS date) + number AS day
                FROM generate_series({1 - scoring.window_days}, CAST(:last AS date) - CAST(:first AS date)) AS number
            ) AS every LEFT JOIN daily USING (day)
        ), approvals AS MATERIALIZED (
            SELECT greatest(day, CAST(:first AS date)) AS day, sum({approved}) AS points
            FROM counted WHERE kind = '{APPROVED}' GROUP BY 1
        )
        SELECT scored.*, {_capped_approval(scoring, approval)}
        FROM windowed AS scored WHERE day >= CAST(:first AS date)
    """


def consecutive(scoring: Scoring) -> str:
    """A query over `wanted`, consecutive SMBs, that gives their keys and the four: one range of the index."""
    return f"""
        WITH summed AS MATERIALIZED (
            SELECT tenant_id, smb_id, {aggregates(scoring)}
            FROM engagement_events
            WHERE (tenant_id, smb_id) >= (:first_tenant_id, :first_smb_id)
                AND (tenant_id, smb_id) <= (:last_tenant_id, :last_smb_id)
            GROUP BY tenant_id, smb_id
        )
        SELECT tenant_id, smb_id, coalesce(reach, 0) AS reach, coalesce(response, 0) AS response,
            coalesce(content, 0) AS content, coalesce(approval, 0) AS approval
        FROM wanted LEFT JOIN summed USING (tenant_id, smb_id)
    """


def probe(scoring: Scoring) -> str:
    """A query over `touched`: its columns, `events` (their number, counted up to one more than ordinary) and the four.

    The four are right only where the events are at most ORDINARY_EVENTS: no more are read, however many there are.
    """
    return f"""
        SELECT touched.*, few.*
        FROM touched CROSS JOIN LATERAL (
            SELECT count(*) AS events, {aggregates(scoring)}
            FROM (
                SELECT event.kind, event.occurred_at FROM engagement_events AS event
                WHERE event.tenant_id = touched.tenant_id AND event.smb_id = touched.smb_id
                LIMIT {ORDINARY_EVENTS + 1}
            ) AS event
        ) AS few
    """


def hot(scoring: Scoring) -> str:
    """A query over `touched` that gives its columns and the four of SMBs with more events than are ordinary.

    Each kind is looked up by the index, and only as many events as reach its cap; the newest approvals first.
    """
    return f"SELECT touched.*, hot.* FROM touched CROSS JOIN LATERAL ({_hot(scoring)}) AS hot"


def _hot(scoring: Scoring) -> str:
    of_smb = "event.tenant_id = touched.tenant_id AND event.smb_id = touched.smb_id AND event.occurred_at < :until"
    kinds = [
        f"(SELECT kind, occurred_at FROM engagement_events AS event WHERE {of_smb} AND event.kind = '{kind}'"
        f" AND event.occurred_at >= :since LIMIT {_enough(scoring, group, kind)})"
        for group, members in GROUPS.items()
        for kind in members
    ]
    # By the whole index: under row-level security the planner does not see that one kind is left, and would sort.
    approvals = f"""SELECT kind, occurred_at FROM engagement_events AS event
        WHERE {of_smb} AND event.kind = '{APPROVED}' ORDER BY kind DESC, occurred_at DESC"""
    # All approvals are read only when the newest thousand exist and still do not reach the cap: all are old then.
    of_newest = f"({approvals} LIMIT {NEWEST_APPROVALS}) AS event"
    newest = f"SELECT count(*) AS events, {approval_sum(scoring)} AS points FROM {of_newest}"
    everything = f"SELECT {approval_sum(scoring)} FROM ({approvals}) AS event"
    enough = f"newest.events < {NEWEST_APPROVALS} OR newest.points >= {scoring.caps.approval}"
    chosen = _capped_approval(scoring, f"CASE WHEN {enough} THEN newest.points ELSE ({everything}) END")
    windowed = ", ".join(_windowed(scoring, group) for group in GROUPS)
    return f"""
        SELECT windowed.reach, windowed.response, windowed.content, {chosen}
        FROM (SELECT {windowed} FROM ({" UNION ALL ".join(kinds)}) AS event) AS windowed, ({newest}) AS newest
    """


def _weight(scoring: Scoring, kind: str) -> int:
    return hundredths(getattr(scoring.points, kind))


def _enough(scoring: Scoring, group: str, kind: str) -> int:
    """So many events of one kind reach the group's cap alone; more can't change the score."""
    weight = _weight(scoring, kind)
    return ceil(hundredths(getattr(scoring.caps, group)) / weight) if weight else 0
