"""The campaign history of an SMB: its runs, newest first, each with what happened to it and what was refused."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from shared.runtime.database import Transaction
from shared.runtime.pages import Page, rows_to_read
from shared.schemas.identity import SmbKey

# The newest transitions that are shown of a run: a sender that has its commands refused all day must not fill a page.
TRANSITIONS_MOST = 100

REFUSED = "refused"

READ_RUNS = text(
    """
    SELECT number, id, status, start_date, day_one, day, next_send, timezone, send_time, created_at, ended_at
    FROM campaigns
    WHERE tenant_id = :tenant_id AND smb_id = :smb_id AND number < :after
    ORDER BY number DESC LIMIT :at_most
    """,
)
# A command that is refused before the first run belongs to none.
READ_TRANSITIONS = text(
    """
    SELECT * FROM (
        SELECT id, campaign_id, occurred_at, action, outcome, old_status, new_status, day, reason, caused_by,
            row_number() OVER (PARTITION BY campaign_id ORDER BY id DESC) AS place,
            count(*) OVER (PARTITION BY campaign_id) AS transitions
        FROM campaign_transitions
        WHERE tenant_id = :tenant_id AND smb_id = :smb_id
            AND (campaign_id = ANY(CAST(:campaign_ids AS uuid[])) OR (:without_run AND campaign_id IS NULL))
    ) AS numbered
    WHERE place <= :at_most ORDER BY id
    """,
)
_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PastTransition:
    """One step of a run, or a command that was refused; then `refusal` is its name and the status stayed.

    `caused_by` is the id of the message that led to it; None where nobody asked by message.
    """

    occurred_at: datetime
    action: str
    outcome: str
    old_status: str
    new_status: str
    day: int | None
    reason: str | None
    refusal: str | None
    caused_by: str | None


@dataclass(frozen=True, slots=True)
class PastTransitions:
    """The newest transitions, oldest first, and how many came before them."""

    shown: tuple[PastTransition, ...] = ()
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run; `number` orders the runs of an SMB. Day and start date stay readable after the end."""

    number: int
    id: UUID
    status: str
    start_date: date
    day_one: date | None
    day: int | None
    next_send: datetime | None
    timezone: str
    send_time: time
    created_at: datetime
    ended_at: datetime | None
    transitions: PastTransitions


@dataclass(frozen=True, slots=True)
class CampaignHistory:
    """A page of runs; with the last one comes `before_first_run`: what was refused when there was no run yet."""

    page: Page[PastRun, int]
    before_first_run: PastTransitions


async def campaign_history(
    transaction: Transaction, smb: SmbKey, size: int, *, after: int | None = None
) -> CampaignHistory:
    """Give a page of at most `size` runs before the one with the number `after`, or the newest.

    Raises ValueError for a size beyond 1 to 200.
    """
    at_most = rows_to_read(size)
    parameters = {"after": _NEWEST if after is None else after, "at_most": at_most}
    rows = (await transaction.execute(READ_RUNS, smb._asdict() | parameters)).mappings().all()
    ids, is_whole = [row["id"] for row in rows], len(rows) < at_most
    transitions = await _read_transitions(transaction, smb, ids, without_run=is_whole)
    runs = [PastRun(**row, transitions=transitions[row["id"]]) for row in rows]
    return CampaignHistory(Page.of(runs, size, lambda run: run.number), transitions[None])


async def _read_transitions(
    transaction: Transaction, smb: SmbKey, runs: Sequence[UUID], *, without_run: bool
) -> defaultdict[UUID | None, PastTransitions]:
    parameters = {"campaign_ids": list(runs), "without_run": without_run, "at_most": TRANSITIONS_MOST}
    rows = (await transaction.execute(READ_TRANSITIONS, smb._asdict() | parameters)).all()
    found: defaultdict[UUID | None, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.campaign_id].append(row)
    return defaultdict(
        PastTransitions,
        {
            run: PastTransitions(tuple(map(_transition, of_run)), of_run[0].transitions - len(of_run))
            for run, of_run in found.items()
        },
    )


def _transition(row: Row[Any]) -> PastTransition:
    """A refusal is stored as its name and a sentence."""
    name, _, reason = (row.reason or "").partition(": ")
    is_refused = row.outcome == REFUSED
    return PastTransition(
        occurred_at=row.occurred_at,
        action=row.action,
        outcome=row.outcome,
        old_status=row.old_status,
        new_status=row.new_status,
        day=row.day,
        reason=reason if is_refused else row.reason,
        refusal=name if is_refused else None,
        caused_by=row.caused_by,
    )
