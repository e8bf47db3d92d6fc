"""From decoded events to rows: one kind, one reference, and the few fields that each kind has."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from services.engagement.store import EventRow, LastSeen
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey

_Fields = tuple[str, str, str | None, str | None, str | None, str | None, float | None]

# kind, reference, campaign, service, url, phone, seconds
_FIELDS: dict[str, Callable[[Any], _Fields]] = {
    "EmailOpened": lambda data: ("email_opened", data.message_id, data.campaign_id, None, None, None, None),
    "EmailClicked": lambda data: ("email_clicked", data.message_id, data.campaign_id, None, data.url, None, None),
    "RVMDelivered": lambda data: (
        "rvm_delivered",
        data.drop_id,
        data.campaign_id,
        None,
        None,
        None,
        data.duration_seconds,
    ),
    "ContentViewed": lambda data: (
        "content_viewed",
        data.content_id,
        data.campaign_id,
        None,
        None,
        None,
        data.seconds_viewed,
    ),
    "ContentCompleted": lambda data: (
        "content_completed",
        data.content_id,
        data.campaign_id,
        None,
        None,
        None,
        data.seconds_viewed,
    ),
    "ApprovalSubmitted": lambda data: (
        f"approval_{data.decision}",
        data.approval_id,
        None,
        data.service,
        None,
        None,
        None,
    ),
    "CallbackReceived": lambda data: (
        "callback_received",
        data.call_id,
        None,
        None,
        None,
        data.phone,
        data.duration_seconds,
    ),
}
EVENT_TYPES = frozenset(_FIELDS)

# Which last_… column a kind moves; the others move none.
_LAST_SEEN_PLACE = {
    "email_opened": 0,
    "email_clicked": 1,
    "content_viewed": 2,
    "content_completed": 2,
    "approval_approved": 3,
}


def as_row(event: Input, smb: SmbKey) -> EventRow:
    """Return the row of a decoded event. Raises KeyError for a type that is not an engagement event."""
    kind, reference, campaign, service, url, phone, seconds = _FIELDS[event.type](event.data)
    return EventRow(
        smb.tenant_id,
        smb.smb_id,
        event.event_key,
        kind,
        event.time,
        event.source,
        event.id,
        reference,
        campaign,
        service,
        url,
        phone,
        seconds,
        event.place.partition,
        event.place.offset,
    )


def last_seen(rows: Iterable[EventRow]) -> dict[SmbKey, LastSeen]:
    """The latest moment per SMB and last_… column; `rows` are sorted by SMB, and every SMB of theirs is there."""
    latest: list[tuple[SmbKey, list[datetime | None]]] = []
    before = None
    for row in rows:
        number = (row.tenant_id.int, row.smb_id.int)
        if number != before:
            latest.append((SmbKey(row.tenant_id, row.smb_id), [None, None, None, None]))
            before = number
        place = _LAST_SEEN_PLACE.get(row.kind)
        if place is not None:
            moments = latest[-1][1]
            known = moments[place]
            moments[place] = row.occurred_at if known is None else max(known, row.occurred_at)
    return {smb: LastSeen(*moments) for smb, moments in latest}


def stands_at(row: EventRow, other: Any) -> bool:  # noqa: ANN401  a database row
    """Tell whether two records of one identity are the same record of Kafka, delivered again.

    The kind stands for the topic: each type has its own, and an approval's decision can't change in place.
    """
    return (row.partition_number, row.partition_offset, row.kind) == (
        other.partition_number,
        other.partition_offset,
        other.kind,
    )


def says_the_same(one: EventRow, other: object) -> bool:
    """Tell whether two records of one identity report the same; `other` has the columns of a row.

    Where they stand in Kafka does not matter.
    """
    return all(getattr(one, name) == getattr(other, name) for name in EventRow._fields[:-2])
