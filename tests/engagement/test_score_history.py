"""The score of each day: what the pure rule says of it, for random policies, events and ranges; and the forecast."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.engagement import rules
from services.engagement.rules import CountedEvents, DayScore, Expiry, ScoredEvent, score
from services.engagement.views.explanation import explain
from services.engagement.views.score_history import Days, InvalidRange, score_history
from shared.runtime.database import Database, Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import ApprovalDecay, Policy, Scoring
from tests.engagement.desk import NOW, EngagementDesk
from tests.engagement.histories import TENANT, TODAY, events_of, histories, insert, scorings

A_DAY = timedelta(days=1)
POLICY = Policy.default()
SMB = SmbKey(TENANT, UUID(int=1))
# Beginnings and ends of ranges, some of them of years.
last_days = st.integers(0, 40).map(lambda days: TODAY + days * A_DAY)
lengths = st.one_of(st.integers(0, 120), st.just(1829))


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(scoring=scorings, history=histories, last=last_days, length=lengths)
async def test_each_day_has_the_score_of_the_rule(
    databases: tuple[Database, Database],
    scoring: Scoring,
    history: list[tuple[str, datetime, int]],
    last: date,
    length: int,
) -> None:
    days = Days(last - length * A_DAY, last)
    async with databases[0].of(TENANT).connect() as connection:
        transaction = Transaction(connection)
        await insert(transaction, {SMB: history}, NOW)
        found = await score_history(transaction, SMB, scoring, days)
        await connection.rollback()
    assert [day.on for day in found] == [days.first + number * A_DAY for number in range(length + 1)]
    # Of the years the days on which something can change, and some more.
    looked_at = found if length <= 120 else found[-100:] + found[::97]
    expected = [DayScore(day.on, score(events_of(history), scoring, day.on)) for day in looked_at]
    assert [day.score for day in looked_at] == [day.score for day in expected]
    assert [day.groups[:3] for day in looked_at] == [day.groups[:3] for day in expected]


async def test_a_day_ends_at_midnight_utc(desk: EngagementDesk) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    moments = (midnight - timedelta(microseconds=1), midnight)
    await desk.happened(*(desk.event("email_clicked", moment) for moment in moments))
    async with desk.reading() as transaction:
        days = Days(date(2026, 2, 28), date(2026, 4, 2))
        scores = {day.on: day.score for day in await score_history(transaction, desk.smb, POLICY.score, days)}
    assert [scores[date(2026, month, day)] for month, day in ((2, 28), (3, 1), (3, 2), (3, 30))] == [0, 3, 6, 6]
    assert [scores[date(2026, month, day)] for month, day in ((3, 31), (4, 1))] == [3, 0]
    # The window of the first day begins before the range.
    async with desk.reading() as transaction:
        days = Days(date(2026, 3, 30), date(2026, 3, 31))
        found = await score_history(transaction, desk.smb, POLICY.score, days)
    assert [day.score for day in found] == [6, 3]


async def test_approvals_of_ages_ago_do_no_harm(desk: EngagementDesk) -> None:
    scoring = POLICY.score.model_copy(update={"approval": ApprovalDecay(points=Decimal("0.01"), half_life_days=1)})
    ages_ago = [datetime(year, 1, 1, tzinfo=UTC) for year in (2, 1000, 2024)]
    await desk.happened(*(desk.event("approval_approved", moment) for moment in ages_ago))
    async with desk.reading() as transaction:
        days = Days.asked(NOW.date() - 1829 * A_DAY, NOW.date(), NOW.date())
        found = await score_history(transaction, desk.smb, scoring, days)
    assert {day.score for day in found} == {0}


async def test_an_approval_before_the_range_decays_on_in_it(desk: EngagementDesk) -> None:
    await desk.happened(*(desk.event("approval_approved", NOW - 60 * A_DAY) for _ in range(4)))
    async with desk.reading() as transaction:
        days = Days((NOW - 30 * A_DAY).date(), NOW.date())
        found = await score_history(transaction, desk.smb, POLICY.score, days)
    assert (found[0].groups.approval, found[-1].groups.approval) == (10_000_000_000, 5_000_000_000)


async def test_an_smb_without_events_had_no_points_on_any_day(desk: EngagementDesk) -> None:
    async with desk.reading() as transaction:
        found = await score_history(transaction, desk.smb, POLICY.score, Days.asked(None, None, TODAY))
    assert len(found) == 90
    assert {day.score for day in found} == {0}


def test_a_range_that_is_not_said_has_90_days_and_ends_today() -> None:
    assert Days.asked(None, None, TODAY) == Days(TODAY - 89 * A_DAY, TODAY)
    assert Days.asked(None, date(2025, 1, 1), TODAY) == Days(date(2024, 10, 4), date(2025, 1, 1))
    assert Days.asked(None, date(1, 1, 2), TODAY) == Days(date(1, 1, 1), date(1, 1, 2))
    assert Days.asked(TODAY - 1829 * A_DAY, None, TODAY).first == TODAY - 1829 * A_DAY


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        (None, TODAY + A_DAY, "to"),
        (TODAY, TODAY - A_DAY, "from"),
        (TODAY - 1830 * A_DAY, None, "from"),
        (date(1, 1, 1), TODAY, "from"),
    ],
)
def test_a_range_that_cannot_be_shown_names_its_field(first: date | None, last: date | None, field: str) -> None:
    with pytest.raises(InvalidRange, match=f"^{field}: must ") as refused:
        Days.asked(first, last, TODAY)
    assert refused.value.field == field


@settings(max_examples=150, deadline=None)
@given(scoring=scorings, history=histories)
def test_a_forecast_is_the_score_of_the_days_to_come(
    scoring: Scoring, history: list[tuple[str, datetime, int]]
) -> None:
    counted = [CountedEvents(kind, moment.date(), times) for kind, moment, times in history]
    ahead = rules.forecast(counted, scoring, TODAY)
    assert [day.on for day in ahead] == [TODAY + number * A_DAY for number in range(1, scoring.window_days + 1)]
    assert all(day.groups == score(events_of(history), scoring, day.on) for day in ahead)
    # What leaves and comes on the way is the difference between its ends.
    today = DayScore(TODAY, rules.score_counted(counted, scoring, TODAY))
    changes = rules.expiries(today, ahead)
    assert today.score - sum(change.points for change in changes) == ahead[-1].score
    assert all(change.points for change in changes)


def test_an_event_is_worth_its_points_for_as_long_as_it_counts() -> None:
    scoring = POLICY.score
    for kind in rules.KINDS:
        for age in (-1, 0, 1, 29, 30, 31, 400):
            event = ScoredEvent(kind, NOW - age * A_DAY)
            groups = score([event], scoring, NOW.date())
            assert rules.worth(event, scoring, NOW.date()) == sum(groups), (kind, age)


async def test_a_score_is_explained_by_group_with_what_will_leave_it(desk: EngagementDesk) -> None:
    await put_standing(desk, tier=3, score=41)
    events = [
        *(desk.event("email_opened", NOW - 29 * A_DAY) for _ in range(20)),
        *(desk.event("rvm_delivered", NOW) for _ in range(8)),
        *(desk.event("email_clicked", NOW - 28 * A_DAY) for _ in range(3)),
        *(desk.event("email_clicked", NOW - 30 * A_DAY) for _ in range(9)),
        desk.event("approval_approved", NOW - 30 * A_DAY),
        desk.event("approval_rejected", NOW),
        # Dated ahead, as it may be for five minutes: it counts from tomorrow on.
        desk.event("content_viewed", NOW.replace(hour=0) + A_DAY),
    ]
    await desk.happened(*events)
    async with desk.reading() as transaction:
        found = await explain(transaction, desk.smb, POLICY, NOW)
    assert found is not None
    assert [(one.group, one.events, one.points, one.cap, one.counted_points) for one in found.groups] == [
        ("reach", 28, 28.0, 25.0, 25.0),
        ("response", 3, 9.0, 30.0, 9.0),
        ("content", 0, 0.0, 20.0, 0.0),
        ("approval", 1, 2.5, 25.0, 2.5),
    ]
    assert (found.as_of, found.score) == (NOW.date(), 36)
    assert (found.stored_score, found.scored_on, found.stored_tier.name) == (41, date(2026, 3, 7), "Moderate")
    assert found.next_tier is not None
    assert (found.tier.name, found.next_tier.name, found.points_to_next_tier) == ("Passive", "Moderate", 4)
    # Tomorrow 20 opens leave reach, 17 of whose 25 points they are because of the cap, and the viewed content comes.
    first, second, *others = found.expiries
    assert first == Expiry(NOW.date() + A_DAY, 15, 21)
    assert second == Expiry(NOW.date() + 2 * A_DAY, 9, 12)
    assert others[-1] == Expiry(NOW.date() + 30 * A_DAY, 8, 3)
    assert len(found.forecast) == 30
    assert found.forecast[-1].score == 3


async def test_the_best_tier_has_none_above_it_and_an_unknown_smb_no_explanation(desk: EngagementDesk) -> None:
    async with desk.reading() as transaction:
        assert await explain(transaction, desk.smb, POLICY, NOW) is None
    await put_standing(desk, tier=4, score=0)
    kinds = ("email_opened", "email_clicked", "content_viewed", "approval_approved")
    await desk.happened(*(desk.event(kind, NOW) for kind in kinds for _ in range(25)))
    async with desk.reading() as transaction:
        found = await explain(transaction, desk.smb, POLICY, NOW)
    assert found is not None
    assert (found.score, found.tier.tier, found.stored_tier.tier) == (100, 1, 4)
    assert (found.next_tier, found.points_to_next_tier) == (None, None)


async def put_standing(desk: EngagementDesk, *, tier: int, score: int) -> None:
    connection = await desk.worker.raw_connection("smb-crm test")
    await connection.execute(
        "INSERT INTO smb_heads (tenant_id, smb_id, engagement_score, engagement_scored_on)"
        " VALUES ($1, $2, $3, '2026-03-07')",
        *desk.smb,
        score,
    )
    await connection.execute(
        "INSERT INTO smbs (tenant_id, id, slug, business_name, engagement_tier, created_at, updated_at)"
        " VALUES ($1, $2, 'a-business', 'A business', $3, now(), now())",
        *desk.smb,
        tier,
    )
    await connection.close()
