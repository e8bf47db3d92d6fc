"""The made-up businesses and their traffic: pure, so the same seed gives the same."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest

from services.demo.broken import SPOILERS, make_broken
from services.demo.commands import CampaignDesk
from services.demo.events import Message
from services.demo.population import STRANGERS, Population, make_population
from services.demo.traffic import HISTORY_DAYS, Kind, LiveTraffic, Sample, make_history
from shared.schemas.bad_message import BadMessage
from shared.schemas.commands import PauseCampaign, ScheduleCampaign, StartCampaign
from shared.schemas.envelope import Input, decode
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC, Service, accepted_types

NOW = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
SMBS = 120
RECORDS = 6_000


class Arrived(NamedTuple):
    """A message as a consumer gets it."""

    topic: str
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


@pytest.fixture(scope="module")
def population() -> Population:
    return make_population(Random(7), SMBS)


@pytest.fixture(scope="module")
def history(population: Population) -> list[Sample]:
    return make_history(population, Random(8), RECORDS, NOW)


def read(message: Message) -> Input:
    arrived = Arrived(message.topic, message.value, message.headers)
    service: Service = "campaign" if message.topic == CAMPAIGN_COMMANDS_TOPIC else "engagement"
    return decode(arrived, accepted_types(service, message.topic), NOW)


def test_a_population_has_as_many_smbs_as_asked_for_in_six_zones(population: Population) -> None:
    assert len(population.known) + len(population.newcomers) == SMBS
    assert len(population.strangers) == STRANGERS
    assert len({one.key for one in population.everybody}) == SMBS + STRANGERS
    assert len({community.timezone for community in population.communities}) == 6
    assert {one.request.community_id for one in population.known} == {one.id for one in population.communities}


def test_the_same_seed_gives_the_same(population: Population, history: list[Sample]) -> None:
    assert make_population(Random(7), SMBS) == population
    assert make_history(population, Random(8), RECORDS, NOW) == history


def test_another_day_moves_the_dates_and_not_the_shape(population: Population, history: list[Sample]) -> None:
    a_week_later = make_history(population, Random(8), RECORDS, NOW + timedelta(days=7))
    times = [one.event.time for one in history if one.event]
    later = [one.event.time for one in a_week_later if one.event]
    # A summer time that began between the two moves some by an hour.
    assert all(
        abs(new - old - timedelta(days=7)) <= timedelta(hours=1)
        for new, old in zip(sorted(later), sorted(times), strict=True)
    )


def test_history_has_the_shares_that_it_promises(history: list[Sample]) -> None:
    kinds = Counter(sample.kind for sample in history)
    assert len(history) == RECORDS
    assert kinds[Kind.REPEATED] == RECORDS * 0.02
    assert kinds[Kind.BROKEN] == RECORDS * 0.002
    assert {type(one.event.data).__name__ for one in history if one.event} >= {"EmailOpened", "ApprovalSubmitted"}


def test_history_lies_in_the_last_45_days_and_in_working_hours(history: list[Sample]) -> None:
    for sample in history:
        if sample.event:
            local = sample.event.time.astimezone(sample.event.business.zone)
            assert timedelta() <= NOW - sample.event.time <= timedelta(days=HISTORY_DAYS + 1)
            assert 6 <= local.hour < 22
    weekdays = Counter(
        sample.event.time.astimezone(sample.event.business.zone).weekday() for sample in history if sample.event
    )
    assert min(weekdays[day] for day in range(5)) > weekdays[5] > weekdays[6] > 0


def test_some_events_arrive_behind_newer_ones_of_their_smb(history: list[Sample]) -> None:
    newest: dict[object, datetime] = {}
    overtaken = 0
    events = [sample.event for sample in history if sample.kind is Kind.EVENT and sample.event]
    for event in events:
        overtaken += event.time < newest.get(event.business.key, event.time)
        newest[event.business.key] = max(event.time, newest.get(event.business.key, event.time))
    assert 0.02 < overtaken / len(events) < 0.25


def test_every_event_decodes_and_a_repeated_one_has_an_identity_that_came_before(history: list[Sample]) -> None:
    seen = set()
    for sample in history:
        if sample.kind is Kind.BROKEN:
            continue
        message = read(sample.message)
        identity = (message.smb, message.event_key)
        assert (identity in seen) == (sample.kind is Kind.REPEATED)
        seen.add(identity)
    assert len(seen) == sum(sample.kind is Kind.EVENT for sample in history)


def test_some_events_are_about_smbs_that_do_not_exist_yet(population: Population, history: list[Sample]) -> None:
    reporting = {sample.event.business.key for sample in history if sample.event}
    assert reporting & {one.key for one in population.newcomers}
    assert reporting & {one.key for one in population.strangers}


@pytest.mark.parametrize("number", range(len(SPOILERS)))
def test_a_broken_message_is_broken_in_its_own_way(population: Population, number: int) -> None:
    with pytest.raises(BadMessage) as caught:
        read(make_broken(population.known[0], number, NOW))
    assert caught.value.error_class == SPOILERS[number][0]


def test_live_traffic_is_of_this_moment_or_late_and_never_ahead(population: Population) -> None:
    live = LiveTraffic(population, Random(9))
    samples = [live.make(NOW) for _ in range(3_000)]
    times = [sample.event.time for sample in samples if sample.event]
    assert all(time <= NOW for time in times)
    assert sum(time == NOW for time in times) > 0.8 * len(times)
    assert {sample.kind for sample in samples} == set(Kind)
    seen = set()
    for sample in samples:
        if sample.kind is Kind.BROKEN:
            continue
        message = read(sample.message)
        assert ((message.smb, message.event_key) in seen) == (sample.kind is Kind.REPEATED)
        seen.add((message.smb, message.event_key))


def test_the_first_morning_has_starts_schedules_pauses_and_one_command_twice(population: Population) -> None:
    commands = [read(one) for one in CampaignDesk(Random(1)).open_campaigns(population, NOW)]
    kinds = Counter(type(command.data) for command in commands)
    assert kinds[StartCampaign] > kinds[ScheduleCampaign] > kinds[PauseCampaign] > 0
    assert len(commands) - len({(command.smb, command.event_key) for command in commands}) == 1
    strangers = {command.smb for command in commands} - {one.key for one in population.known}
    assert len(strangers) == 1
