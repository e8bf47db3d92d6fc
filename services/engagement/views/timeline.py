"""The timeline of an SMB: what it did, newest first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from services.engagement import rules
from services.engagement.rules import ScoredEvent
from services.engagement.views import store
from services.engagement.views.store import EventPosition
from shared.runtime.database import Transaction
from shared.runtime.pages import Page, rows_to_read
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Scoring

APPROVALS = (rules.APPROVED, rules.REJECTED)
CONTENT_VIEWS = rules.GROUPS["content"]

_DECISIONS = {rules.APPROVED: "approved", rules.REJECTED: "rejected"}
# PostgreSQL's driver takes these two for the infinities.
_BEGINNING, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LAST_KEY = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are shown: of these kinds, that happened from `since` on and before `until`."""

    kinds: Collection[str] = rules.KINDS
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event. `reference` is the id of the message, drop, content, approval or call, by kind.

    `points` are what it was worth on its own day, `points_now` what is left of that: nothing behind the window, and
    ever less of an approval. Caps are not applied: they hold for groups.
    """

    event_key: UUID
    id: str
    source: str
    kind: str
    occurred_at: datetime
    received_at: datetime
    reference: str
    campaign_id: str | None
    service: str | None
    decision: str | None
    url: str | None
    phone: str | None
    seconds: float | None
    points: float
    points_now: float

    @property
    def position(self) -> EventPosition:
        """Where it stands."""
        return EventPosition(self.occurred_at, self.event_key)


ALL = Filter()


async def timeline(  # noqa: PLR0913  what to show, which part of it, and how
    transaction: Transaction,
    smb: SmbKey,
    scoring: Scoring,
    today: date,
    size: int,
    *,
    after: EventPosition | None = None,
    only: Filter = ALL,
) -> Page[TimelineEntry, EventPosition]:
    """Give a page of at most `size` events behind the position `after`, or the newest.

    However many events the SMB has, little more than a page is read of each kind. An event that arrives late takes
    its place by its own time, also on pages that were shown already. Raises ValueError for a size beyond 1 to 200 and
    for a kind that nobody knows.
    """
    unknown = set(only.kinds).difference(rules.KINDS)
    if unknown:
        message = f"there is no kind of event {min(unknown)!r}"
        raise ValueError(message)
    rows = await store.read_timeline(
        transaction,
        smb,
        kinds=sorted(set(only.kinds)),
        since=only.since or _BEGINNING,
        until=only.until or _END,
        after=after or EventPosition(_END, _LAST_KEY),
        at_most=rows_to_read(size),
    )
    return Page.of([_entry(row, scoring, today) for row in rows], size, lambda entry: entry.position)


def _entry(row: Row[Any], scoring: Scoring, today: date) -> TimelineEntry:
    event = ScoredEvent(row.kind, row.occurred_at)
    return TimelineEntry(
        event_key=row.event_key,
        id=row.event_id,
        source=row.source,
        kind=row.kind,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        reference=row.reference,
        campaign_id=row.campaign_reference,
        service=row.service,
        decision=_DECISIONS.get(row.kind),
        url=row.url,
        phone=row.phone,
        seconds=row.seconds,
        points=rules.points(rules.worth(event, scoring, row.occurred_at.astimezone(UTC).date())),
        points_now=rules.points(rules.worth(event, scoring, today)),
    )
