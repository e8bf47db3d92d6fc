"""The timeline: every event of an SMB, newest first, page by page; and the campaign sends that it tells of."""

import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.engagement.rules import KINDS
from services.engagement.store import EventRow
from services.engagement.views.sends import Send, campaign_sends
from services.engagement.views.store import EventPosition, SendPosition
from services.engagement.views.timeline import APPROVALS, CONTENT_VIEWS, Filter, TimelineEntry, timeline
from shared.runtime.pages import PAGE_MAX_ENTRIES, Page
from shared.schemas.policy import Policy
from tests.engagement.desk import NOW, EngagementDesk

SCORING = Policy.default().score
A_DAY = timedelta(days=1)


async def page(
    desk: EngagementDesk, size: int = 200, after: EventPosition | None = None, only: Filter | None = None
) -> Page[TimelineEntry, EventPosition]:
    async with desk.reading() as transaction:
        return await timeline(transaction, desk.smb, SCORING, NOW.date(), size, after=after, only=only or Filter())


async def ids(desk: EngagementDesk, only: Filter) -> list[str]:
    return [entry.id for entry in (await page(desk, only=only)).entries]


async def test_an_event_is_shown_whole_with_its_points(desk: EngagementDesk) -> None:
    approved = desk.event("approval_approved", NOW - 30 * A_DAY, service="SEO", reference="a-1")
    called = desk.event("callback_received", NOW - 29 * A_DAY, phone="+12125550100", seconds=61.5)
    clicked = desk.event("email_clicked", NOW - 31 * A_DAY, campaign_reference="c-1", reference="m-1")
    await desk.happened(approved, called, clicked, desk.event("approval_rejected", NOW - 99 * A_DAY))
    entries = (await page(desk)).entries
    assert [entry.kind for entry in entries] == [
        "callback_received",
        "approval_approved",
        "email_clicked",
        "approval_rejected",
    ]
    assert asdict(entries[0]) == {
        "event_key": called.event_key,
        "id": called.event_id,
        "source": "/modules/test",
        "kind": "callback_received",
        "occurred_at": NOW - 29 * A_DAY,
        "received_at": NOW,
        "reference": "r-1",
        "campaign_id": None,
        "service": None,
        "decision": None,
        "url": None,
        "phone": "+12125550100",
        "seconds": 61.5,
        "points": 5.0,
        "points_now": 5.0,
    }
    assert (entries[1].service, entries[1].decision, entries[1].points, entries[1].points_now) == (
        "SEO",
        "approved",
        5.0,
        2.5,
    )
    # Behind the window nothing is left of a click.
    assert (entries[2].campaign_id, entries[2].url, entries[2].points, entries[2].points_now) == (
        "c-1",
        "https://example.test/",
        3.0,
        0.0,
    )
    assert (entries[3].decision, entries[3].points) == ("rejected", 0.0)


async def test_only_some_kinds_and_a_time(desk: EngagementDesk) -> None:
    for kind in KINDS:
        days = [desk.event(kind, NOW.replace(day=day), event_id=f"{kind} {day}") for day in (1, 2, 3)]
        await desk.happened(*days)
    assert sorted(await ids(desk, Filter(APPROVALS))) == sorted(
        f"{kind} {day}" for kind in ("approval_approved", "approval_rejected") for day in (1, 2, 3)
    )
    assert [one.partition(" ")[2] for one in await ids(desk, Filter(CONTENT_VIEWS))] == list("332211")
    second, third = NOW.replace(day=2), NOW.replace(day=3)
    # From the first moment on, before the second.
    only = Filter(["email_opened", "email_opened"], since=second, until=third)
    assert await ids(desk, only) == ["email_opened 2"]
    assert await ids(desk, Filter([])) == []
    with pytest.raises(ValueError, match="no kind of event 'email_lost'"):
        await page(desk, only=Filter(["email_lost"]))


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_pages_go_on_where_they_ended_whatever_comes_between(desk: EngagementDesk, size: int) -> None:
    chance = random.Random(size)

    def some(count: int) -> list[EventRow]:
        # Few moments, so that many events share one, also across kinds and at the border of a page.
        return [desk.event(chance.choice(KINDS), NOW - chance.randrange(12) * A_DAY) for _ in range(count)]

    there = some(60)
    await desk.happened(*there)
    shown: list[TimelineEntry] = []
    after = None
    while True:
        found = await page(desk, size, after)
        shown += found.entries
        await desk.happened(*some(2))
        if found.last is None:
            break
        after = found.last
        assert found.entries[-1].position == after
        assert len(found.entries) == size
    positions = [entry.position for entry in shown]
    assert positions == sorted(set(positions), reverse=True)
    assert {row.event_key for row in there} <= {entry.event_key for entry in shown}


async def test_pages_are_neither_empty_nor_endless(desk: EngagementDesk) -> None:
    for size in (0, PAGE_MAX_ENTRIES + 1):
        with pytest.raises(ValueError, match="1 to 200"):
            await page(desk, size)


async def test_nobody_else_sees_the_events_of_a_tenant(desk: EngagementDesk) -> None:
    await desk.happened(desk.event("email_opened", NOW, campaign_reference="c-1"))
    async with desk.reading(uuid4()) as transaction:
        assert (await timeline(transaction, desk.smb, SCORING, NOW.date(), 10)).entries == []
        assert (await campaign_sends(transaction, desk.smb, 10)).page.entries == []
    async with desk.api.transaction() as transaction:
        assert (await timeline(transaction, desk.smb, SCORING, NOW.date(), 10)).entries == []
    assert len((await page(desk)).entries) == 1


async def test_sends_are_the_messages_of_campaigns_with_their_reactions(desk: EngagementDesk) -> None:
    def about(kind: str, reference: str, hour: int, campaign: str | None = "c-1") -> EventRow:
        return desk.event(kind, at(hour), reference=reference, campaign_reference=campaign)

    await desk.happened(
        about("email_opened", "m-1", 3),
        about("email_clicked", "m-1", 5),
        about("email_opened", "m-1", 4),
        about("email_opened", "m-1", 6, campaign="c-2"),
        about("rvm_delivered", "m-1", 2),
        about("email_opened", "m-2", 7, campaign=None),
        about("content_viewed", "m-3", 7),
    )
    async with desk.reading() as transaction:
        whole = await campaign_sends(transaction, desk.smb, 10)
        assert whole.page.entries == [
            Send("email", "c-2", "m-1", at(6), at(6), 1, 0, 0),
            Send("email", "c-1", "m-1", at(3), at(5), 2, 1, 0),
            Send("rvm", "c-1", "m-1", at(2), at(2), 0, 0, 1),
        ]
        assert (whole.page.last, whole.is_cut) == (None, False)
        cut = await campaign_sends(transaction, desk.smb, 10, reactions_most=3)
        assert cut.is_cut
        none = await campaign_sends(transaction, desk.smb, 10, after=whole.page.entries[-1].position, reactions_most=3)
        assert (none.page.entries, none.is_cut) == ([], True)


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


async def test_a_new_reaction_moves_no_send_to_another_page(desk: EngagementDesk) -> None:
    for number in range(23):
        # Pairs of one moment, and a second reaction that comes late.
        moment = at(number // 2)
        await desk.happened(desk.event("email_opened", moment, reference=f"m-{number}", campaign_reference="c-1"))
    shown: list[str] = []
    after: SendPosition | None = None
    while True:
        async with desk.reading() as transaction:
            found = (await campaign_sends(transaction, desk.smb, 5, after=after)).page
        shown += [send.reference for send in found.entries]
        # The oldest and the newest are clicked again and again.
        clicks = [desk.event("email_clicked", NOW, reference=f"m-{n}", campaign_reference="c-1") for n in (0, 22)]
        await desk.happened(*clicks)
        if found.last is None:
            break
        after = found.last
    assert sorted(shown) == sorted(f"m-{number}" for number in range(23))
    assert shown[0] == "m-22"
