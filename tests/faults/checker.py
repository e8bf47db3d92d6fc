"""Decides after a fault whether everything that was promised still holds; pure functions over what was dumped.

Each complaint begins with the letter of the broken invariant:
L nothing lost, D nothing applied twice, O per-SMB order without a gap, S state equals a replay, P poison is parked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.engagement import rules
from services.engagement.rules import ScoredEvent
from shared.schemas.identity import Place, SmbKey
from shared.schemas.policy import Policy

Headers = tuple[tuple[str, bytes | None], ...]
Identity = tuple[SmbKey, str, str]

KINDS = {
    "EmailOpened": "email_opened",
    "RVMDelivered": "rvm_delivered",
    "EmailClicked": "email_clicked",
    "CallbackReceived": "callback_received",
    "ContentViewed": "content_viewed",
    "ContentCompleted": "content_completed",
}
LAST_SEEN = {
    "last_email_open": {"email_opened"},
    "last_email_click": {"email_clicked"},
    "last_content_view": {"content_viewed", "content_completed"},
    "last_approval": {"approval_approved"},
}


class Sent(NamedTuple):
    """A record as it stands on an input topic."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Headers


class Stored(NamedTuple):
    """A row of the event store."""

    smb: SmbKey
    source: str
    id: str
    kind: str
    occurred_at: datetime
    place: Place

    @property
    def identity(self) -> Identity:
        """What makes it the same event."""
        return self.smb, self.source, self.id


class Letter(NamedTuple):
    """A dead letter."""

    place: Place
    service: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Told(NamedTuple):
    """A record on `smb.events`; `content` is everything that a copy must repeat, byte by byte."""

    smb: SmbKey
    epoch: int
    sequence: int
    type: str
    content: tuple[Headers, bytes]

    @property
    def data(self) -> dict[str, Any]:
        """The body."""
        body: dict[str, Any] = json.loads(self.content[1])
        return body


class Head(NamedTuple):
    """What the database says of an SMB."""

    sequence: int
    score: int
    announced: int
    scored_on: date | None
    last_seen: dict[str, datetime | None]


@dataclass(frozen=True)
class Dump:
    """Everything, at rest: input topics, database, output topic. `told` is in the order of each partition."""

    sent: Sequence[Sent]
    acknowledged: frozenset[Place]
    events: Sequence[Stored]
    copies: frozenset[Place]
    letters: Sequence[Letter]
    heads: dict[SmbKey, Head]
    live: frozenset[SmbKey]
    told: Sequence[Told]
    erased: frozenset[SmbKey] = frozenset()
    policy: Policy = field(default_factory=Policy.default)


def check(dump: Dump) -> list[str]:
    """Return every broken promise; none when all hold."""
    return [
        *nothing_lost(dump),
        *nothing_twice(dump),
        *in_order_without_gap(dump),
        *state_is_a_replay(dump),
        *announced_as_promised(dump),
        *poison_is_parked(dump.sent, dump.letters),
    ]


def nothing_lost(dump: Dump) -> Iterator[str]:
    """Each acknowledged input stands in Kafka, and each input that stands there has exactly one end."""
    there = {sent.place for sent in dump.sent}
    yield from (f"L acknowledged and gone from Kafka: {place}" for place in sorted(dump.acknowledged - there))
    ends = Counter([*(event.place for event in dump.events), *dump.copies, *(letter.place for letter in dump.letters)])
    for sent in dump.sent:
        if ends[sent.place] == 0:
            yield f"L neither applied, repeated nor parked: {sent.place}"
        elif ends[sent.place] > 1:
            yield f"D {ends[sent.place]} ends: {sent.place}"
    yield from (f"D from nowhere: {place}" for place in sorted(ends.keys() - there))


def nothing_twice(dump: Dump) -> Iterator[str]:
    """Each identity is applied once, as the record at its place says, and what counts as a copy is one."""
    sent = {one.place: reported(one) for one in dump.sent}
    times = Counter(event.identity for event in dump.events)
    yield from (f"D applied {count} times: {identity}" for identity, count in times.items() if count > 1)
    for event in dump.events:
        if sent.get(event.place) != event:
            yield f"D stored otherwise than sent: {event}, sent {sent.get(event.place)}"
    for place in sorted(dump.copies):
        original = sent.get(place)
        if original is None or original.identity not in times:
            yield f"L called a copy, and there is no original: {place}"


def in_order_without_gap(dump: Dump) -> Iterator[str]:
    """A reader that drops `(epoch, sequence) <= last` sees 1, 2, 3, …; copies repeat every byte; nothing is missing."""
    last: dict[SmbKey, int] = {}
    contents: dict[tuple[SmbKey, int, int], tuple[Headers, bytes]] = {}
    for told in dump.told:
        known = contents.setdefault((told.smb, told.epoch, told.sequence), told.content)
        if known != told.content:
            yield f"O a copy that differs: {told.smb} {told.sequence}"
        before = last.get(told.smb, 0)
        if told.sequence > before + 1:
            yield f"O {told.sequence} after {before}: {told.smb}"
        last[told.smb] = max(before, told.sequence)
    for smb, head in dump.heads.items():
        if head.sequence != last.get(smb, 0):
            yield f"O told up to {last.get(smb, 0)} of {head.sequence}: {smb}"
    yield from (f"O told of an SMB without a head: {smb}" for smb in sorted(last.keys() - dump.heads.keys()))


def state_is_a_replay(dump: Dump) -> Iterator[str]:
    """Scores and last moments are what the rules make of the records that were applied, and of nothing else."""
    sent = {one.place: reported(one) for one in dump.sent}
    of_smb: defaultdict[SmbKey, list[Stored]] = defaultdict(list)
    for event in {one.identity: one for one in dump.events}.values():
        original = sent.get(event.place)
        if original is not None:
            of_smb[original.smb].append(original)
    yield from (f"S events and no head: {smb}" for smb in sorted(of_smb.keys() - dump.heads.keys()))
    for smb, head in dump.heads.items():
        events = of_smb[smb]
        if events and head.scored_on is None:
            yield f"S events and no score: {smb}"
            continue
        as_of = head.scored_on or datetime.now(UTC).date()
        score = rules.score([ScoredEvent(one.kind, one.occurred_at) for one in events], dump.policy.score, as_of).score
        if head.score != score:
            yield f"S score {head.score}, replayed {score}: {smb}"
        for name, kinds in LAST_SEEN.items():
            latest = max((one.occurred_at for one in events if one.kind in kinds), default=None)
            if head.last_seen[name] != latest:
                yield f"S {name} {head.last_seen[name]}, replayed {latest}: {smb}"


def announced_as_promised(dump: Dump) -> Iterator[str]:
    """Old score = previous new score, each step more than 10, and at rest at most 10 are left untold."""
    stories: defaultdict[SmbKey, dict[tuple[int, int], Told]] = defaultdict(dict)
    for told in dump.told:
        if told.type == "SMBEngagementChanged":
            stories[told.smb].setdefault((told.epoch, told.sequence), told)
    for smb, head in dump.heads.items():
        announced = 0
        for _, told in sorted(stories[smb].items()):
            old, new = told.data["old_score"], told.data["new_score"]
            if old != announced:
                yield f"S announced {announced} and then from {old}: {smb}"
            if abs(new - old) <= rules.ANNOUNCED_STEP_POINTS:
                yield f"S announced a step from {old} to {new}: {smb}"
            announced = new
        if head.announced != announced:
            yield f"S announced {announced}, the head says {head.announced}: {smb}"
        if smb in dump.live and rules.is_announced(announced, head.score):
            yield f"S score {head.score} and announced only {announced}: {smb}"
        if smb not in dump.live and stories[smb]:
            yield f"S announced an SMB that its tenant does not have: {smb}"


def poison_is_parked(sent: Sequence[Sent], letters: Sequence[Letter]) -> Iterator[str]:
    """A dead letter is the record at its place, byte by byte, once."""
    there = {one.place: one for one in sent}
    times = Counter(letter.place for letter in letters)
    yield from (f"P parked {count} times: {place}" for place, count in times.items() if count > 1)
    for letter in letters:
        one = there.get(letter.place)
        if one is None or (one.key, one.value, one.headers) != (letter.key, letter.value, letter.headers):
            yield f"P parked with other bytes: {letter.place}"


def reported(sent: Sent) -> Stored | None:
    """Read a well-formed event in the plainest way, apart from the product's decoder; None for anything else."""
    headers = dict(sent.headers)
    try:
        body = json.loads(sent.value or b"")
        if headers.get("ce_id") is not None and "specversion" not in body:
            given = [(name.removeprefix("ce_"), value) for name, value in headers.items() if value is not None]
            texts = {name: value.decode(errors="replace") for name, value in given}
            body = {**texts, "data": body}
        data = body["data"]
        smb = SmbKey(UUID(body["tenantid"]), UUID(data["smb_id"]))
        approval = f"approval_{data.get('decision', 'approved')}"
        kind = approval if body["type"] == "ApprovalSubmitted" else KINDS[body["type"]]
        occurred_at = datetime.fromisoformat(body["time"]).astimezone(UTC)
        return Stored(smb, body["source"], body["id"], kind, occurred_at, sent.place)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
