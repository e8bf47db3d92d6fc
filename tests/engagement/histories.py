"""Random scoring policies and histories of events, and how a history gets into the database."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from uuid import UUID

from hypothesis import strategies as st

from services.engagement import store
from services.engagement.rules import KINDS, ScoredEvent
from services.engagement.store import EventRow
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import ApprovalDecay, Caps, EventPoints, Scoring

TENANT = UUID(int=7)
TODAY = date(2026, 3, 8)
ANCIENT = (-20_000, -700_000, -739_000)  # days; the last is in the year 2

weights = st.decimals(0, 20, places=2)
caps = st.decimals(0, 100, places=2)
scorings = st.builds(
    Scoring,
    window_days=st.integers(1, 60),
    points=st.builds(EventPoints, **dict.fromkeys(EventPoints.model_fields, weights)),
    caps=st.builds(Caps, **dict.fromkeys(Caps.model_fields, caps)),
    approval=st.builds(ApprovalDecay, points=weights, half_life_days=st.integers(1, 120)),
)
moments = st.builds(
    lambda days, seconds: datetime(2026, 3, 8, tzinfo=UTC) + timedelta(days=days, seconds=seconds),
    st.one_of(st.integers(-70, 1), st.integers(-900, -60), st.sampled_from(ANCIENT)),
    st.one_of(st.just(0), st.integers(0, 86_399), st.just(86_399)),
)
# One event many times makes an SMB hot: it is then scored by look-ups per kind.
repetitions = st.integers(0, 40).map(lambda drawn: {38: 25, 39: 401, 40: 450}.get(drawn, 1))
histories = st.lists(st.tuples(st.sampled_from(KINDS), moments, repetitions), max_size=6)


REPETITIONS = (1, 25, 401, 450), (970, 20, 5, 5)


def drawn_history(random: Random) -> list[tuple[str, datetime, int]]:
    """A history like those of `histories`, drawn many times faster (and not simplified when a test fails)."""
    kinds = [random.choice(KINDS) for _ in range(random.randint(0, 6))]
    return [(kind, _drawn_moment(random), random.choices(*REPETITIONS)[0]) for kind in kinds]


def _drawn_moment(random: Random) -> datetime:
    near, far, ancient = random.randint(-70, 1), random.randint(-900, -60), random.choice(ANCIENT)
    days, seconds = random.choice([near, far, ancient]), random.choice([0, random.randint(0, 86_399), 86_399])
    return datetime(2026, 3, 8, tzinfo=UTC) + timedelta(days=days, seconds=seconds)


def events_of(history: Iterable[tuple[str, datetime, int]]) -> list[ScoredEvent]:
    """The events of a history, one by one."""
    return [ScoredEvent(kind, moment) for kind, moment, times in history for _ in range(times)]


async def insert(
    transaction: Transaction, histories: dict[SmbKey, list[tuple[str, datetime, int]]], now: datetime
) -> None:
    """Store histories, each event as often as it says."""
    numbers = count()
    rows = [
        EventRow(
            *smb, UUID(int=next(numbers)), kind, moment, "/test", "id", "reference", None,
            "service" if kind.startswith("approval") else None, "https://x" if kind == "email_clicked" else None,
            None, None, 0, 0,
        )
        for smb, history in histories.items()
        for kind, moment, times in history
        for _ in range(times)
    ]  # fmt: skip
    if rows:
        assert await store.insert_events(transaction, rows, now) == len(rows)
