"""Each date has exactly one send moment, in every zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.campaign.rules import (
    UnknownTimeZoneError,
    is_known_zone,
    known_zones,
    next_send,
    send_moment,
    time_zone,
)
from tests.campaign.examples import NINE, day, moment

FIVE_MINUTES = timedelta(minutes=5)

ZONES_WITH_UNUSUAL_CLOCKS = [
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Apia",
    "America/Santiago", "Africa/Cairo", "America/Nuuk", "America/St_Johns", "Asia/Kathmandu", "Antarctica/Troll",
    "Pacific/Chatham", "Asia/Beirut", "UTC",
]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "on", "send_time", "expected"),
    [
        ("UTC", "2026-05-01", "09:00", "2026-05-01 09:00"),
        ("Asia/Kolkata", "2026-05-01", "09:00", "2026-05-01 03:30"),
        ("Pacific/Apia", "2026-05-01", "09:00", "2026-04-30 20:00"),
        ("Europe/Berlin", "2026-03-28", "09:00", "2026-03-28 08:00"),
        ("Europe/Berlin", "2026-03-29", "09:00", "2026-03-29 07:00"),
    ],
)
def test_a_message_goes_out_by_the_clock_on_the_wall(zone: str, on: str, send_time: str, expected: str) -> None:
    assert send_moment(day(on), zone, time.fromisoformat(send_time)) == moment(expected)


@pytest.mark.parametrize(
    ("zone", "on", "send_time", "expected"),
    [
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08 07:00"),
        ("America/New_York", "2026-03-08", "02:00", "2026-03-08 07:00"),
        ("Europe/Berlin", "2026-03-29", "02:59:59.999999", "2026-03-29 01:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03 15:30"),
        ("Africa/Cairo", "2026-04-24", "00:30", "2026-04-23 22:00"),
        ("America/Santiago", "2026-09-06", "00:00", "2026-09-06 04:00"),
        ("Africa/Casablanca", "2026-03-22", "02:30", "2026-03-22 02:00"),
    ],
)
def test_a_send_time_in_a_gap_waits_for_its_end(zone: str, on: str, send_time: str, expected: str) -> None:
    assert send_moment(day(on), zone, time.fromisoformat(send_time)) == moment(expected)


@pytest.mark.parametrize(
    ("zone", "on", "send_time", "expected"),
    [
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01 05:30"),
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04 14:45"),
        ("America/Santiago", "2026-04-04", "23:30", "2026-04-05 02:30"),
    ],
)
def test_a_send_time_that_comes_twice_is_the_earlier_one(zone: str, on: str, send_time: str, expected: str) -> None:
    assert send_moment(day(on), zone, time.fromisoformat(send_time)) == moment(expected)


def test_a_gap_that_ends_on_the_next_date_leaves_both_dates_their_own_moment() -> None:
    assert send_moment(day("2026-03-28"), "America/Nuuk", time(23, 30)) == moment("2026-03-29 01:00")
    assert send_moment(day("2026-03-29"), "America/Nuuk", time(23, 30)) == moment("2026-03-30 00:30")
    assert next_send(moment("2026-03-28 23:00"), date.min, "America/Nuuk", time(23, 30)).on == day("2026-03-28")


def test_a_date_that_a_zone_leaves_out_has_its_moment_right_after_it() -> None:
    moments = [send_moment(date(2011, 12, number), "Pacific/Apia", NINE) for number in (29, 30, 31)]
    assert moments == [moment("2011-12-29 19:00"), moment("2011-12-30 10:00"), moment("2011-12-30 19:00")]


def test_at_midnight_the_date_after_the_one_left_out_follows_a_minute_later() -> None:
    moments = [send_moment(date(2011, 12, number), "Pacific/Apia", time(0)) for number in (29, 30, 31)]
    assert moments == [moment("2011-12-29 10:00"), moment("2011-12-30 10:00"), moment("2011-12-30 10:01")]


@settings(max_examples=500, deadline=None)
@given(
    zone=st.sampled_from(ZONES_WITH_UNUSUAL_CLOCKS),
    on=st.dates(date(2023, 1, 1), date(2029, 12, 31)),
    step=st.integers(0, 287),
)
def test_no_earlier_moment_shows_the_send_time(zone: str, on: date, step: int) -> None:
    send_time = (datetime.combine(on, time(0)) + step * FIVE_MINUTES).time()
    assert send_moment(on, zone, send_time) == first_moment_by_looking_at_the_wall(on, zone, send_time)


def first_moment_by_looking_at_the_wall(on: date, zone: str, send_time: time) -> datetime:
    """Watch the wall clock from a day before, every five minutes, until it shows the send time or has jumped past."""
    due = datetime.combine(on, send_time)
    seen = (due - timedelta(hours=30)).replace(tzinfo=UTC)
    while seen.astimezone(time_zone(zone)).replace(tzinfo=None) < due:
        seen += FIVE_MINUTES
    return seen


@pytest.mark.parametrize("send_time", [time(0), NINE, time(23, 30)])
def test_in_every_zone_a_later_date_has_a_later_moment(send_time: time) -> None:
    for zone in sorted(known_zones()):
        for earlier, later in pairwise(moments_of_a_year(zone, send_time)):
            assert timedelta(hours=20) < later - earlier < timedelta(hours=28), zone


def moments_of_a_year(zone: str, send_time: time) -> Iterator[datetime]:
    """Give the moments of the year 2026, day by day."""
    return (send_moment(date(2026, 1, 1) + timedelta(days=number), zone, send_time) for number in range(365))


@pytest.mark.parametrize(
    ("zone", "around"),
    [
        ("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21"), ("Pacific/Kiritimati", "1994-12-31"),
        ("Pacific/Kanton", "1994-12-31"), ("Asia/Manila", "1844-12-31"), ("America/Juneau", "1867-10-18"),
        ("America/St_Johns", "1987-10-25"), ("Africa/Monrovia", "1972-01-07"), ("Europe/Amsterdam", "1937-07-01"),
        ("Asia/Pyongyang", "2018-05-05"), ("America/Caracas", "2016-05-01"), ("Africa/Juba", "2021-02-01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("send_time", [time(0), time(0, 0, 30), NINE, time(23, 59, 59, 999_999)])
def test_odd_moments_of_history_do_no_harm(zone: str, around: str, send_time: time) -> None:
    dates = [day(around) + timedelta(days=number) for number in range(-5, 6)]
    moments = [send_moment(on, zone, send_time) for on in dates]
    assert moments == sorted(set(moments))
    for on, earlier, later in zip(dates[1:], moments, moments[1:], strict=False):
        assert next_send(earlier, date.min, zone, send_time) == (on, later)
        assert next_send(later - timedelta(microseconds=1), date.min, zone, send_time) == (on, later)


def test_a_moment_that_is_now_has_passed_and_none_lies_before_the_first_date() -> None:
    assert next_send(moment("2026-05-01 08:59"), date.min, "UTC", NINE) == (
        day("2026-05-01"),
        moment("2026-05-01 09:00"),
    )
    assert next_send(moment("2026-05-01 09:00"), date.min, "UTC", NINE).on == day("2026-05-02")
    assert next_send(moment("2026-05-01 09:00"), day("2026-06-01"), "UTC", NINE).on == day("2026-06-01")


@pytest.mark.parametrize(
    "name", ["", "Europe/Atlantis", "europe/berlin", "Factory", "../zones", "UTC\0", "/etc/localtime"]
)
def test_a_zone_that_does_not_exist_is_refused_by_name(name: str) -> None:
    assert not is_known_zone(name)
    with pytest.raises(UnknownTimeZoneError) as refusal:
        send_moment(day("2026-05-01"), name, NINE)
    assert repr(name) in str(refusal.value)


def test_every_known_zone_can_be_read() -> None:
    assert {time_zone(name).key for name in known_zones()} == known_zones()
    assert {"UTC", "Europe/Berlin", "US/Eastern", "Asia/Calcutta"} <= known_zones()


def test_the_machines_own_zone_data_is_not_asked(tmp_path: Path) -> None:
    elsewhere = tmp_path / "Europe" / "Berlin"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(zone_file_of_utc())
    reset_tzpath(to=[str(tmp_path)])
    ZoneInfo.clear_cache()
    time_zone.cache_clear()
    try:
        noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
        assert noon.astimezone(ZoneInfo("Europe/Berlin")).hour == 12
        assert noon.astimezone(time_zone("Europe/Berlin")).hour == 14
    finally:
        reset_tzpath()
        ZoneInfo.clear_cache()


def zone_file_of_utc() -> bytes:
    """Make the smallest zone file: UTC, no transitions."""
    block = b"TZif2" + bytes(15) + b"".join(number.to_bytes(4, "big") for number in (0, 0, 0, 0, 1, 4))
    body = bytes(6) + b"UTC\0"
    return block + body + block + body + b"\nUTC0\n"
