"""Decides after a fault whether campaigns are what was commanded and approved, like `checker` and with its letters.

For SMBs that anybody may contact and that nobody deletes, and for start dates that are never reached.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from shared.schemas.identity import Place, SmbKey
from tests.faults.checker import Letter, Sent, Told, poison_is_parked

COMMANDS = "smb.campaign-commands"
APPROVALS = "approval.submitted"
ACTIONS = {f"{action.capitalize()}Campaign": action for action in ("start", "schedule", "pause", "resume", "cancel")}
ENDED = ("draft", "completed", "cancelled")
# From where each action leads, and to where; everything else is refused. The last two nobody commands.
MOVES = {
    "start": (ENDED, "running"),
    "schedule": ((*ENDED, "scheduled"), "scheduled"),
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "cancel": (("scheduled", "running", "paused"), "cancelled"),
    "complete": (("running",), "completed"),
}


class Asked(NamedTuple):
    """What a well-formed command or approval says; `service` is that of an approved approval."""

    smb: SmbKey
    source: str
    id: str
    type: str
    service: str | None

    @property
    def identity(self) -> tuple[SmbKey, bool, str, str]:
        """What makes it the same input, within its sort."""
        return self.smb, self.type in ACTIONS, self.source, self.id


class Entry(NamedTuple):
    """A row of the ledger: what was taken, from where, and what became of it."""

    asked: Asked
    place: Place
    outcome: str


class Step(NamedTuple):
    """A row of the history."""

    smb: SmbKey
    action: str
    outcome: str
    old_status: str
    new_status: str
    caused_by: str | None


class Standing(NamedTuple):
    """What an SMB says of itself."""

    status: str
    pending: tuple[str, ...]


@dataclass(frozen=True)
class CampaignDump:
    """Commands and approvals, at rest. `ledger` is in the order of arrival, `history` and `told` in that of writing."""

    sent: Sequence[Sent]
    acknowledged: frozenset[Place]
    ledger: Sequence[Entry]
    copies: frozenset[Place]
    letters: Sequence[Letter]
    history: Sequence[Step]
    standings: dict[SmbKey, Standing]
    told: Sequence[Told]


def check_campaigns(dump: CampaignDump) -> list[str]:
    """Return every broken promise; none when all hold."""
    return [
        *each_has_one_end(dump),
        *taken_as_sent(dump),
        *in_the_order_of_sending(dump),
        *history_is_a_replay(dump),
        *pending_is_a_replay(dump),
        *told_as_it_happened(dump),
        *poison_is_parked(dump.sent, dump.letters),
    ]


def each_has_one_end(dump: CampaignDump) -> Iterator[str]:
    """Each record is in the ledger, a copy or a dead letter; what does not decode as an approval is another's."""
    there = {sent.place for sent in dump.sent}
    yield from (f"L acknowledged and gone from Kafka: {place}" for place in sorted(dump.acknowledged - there))
    ends = Counter([*(one.place for one in dump.ledger), *dump.copies, *(one.place for one in dump.letters)])
    for sent in dump.sent:
        expected = 0 if sent.place.topic == APPROVALS and asked(sent) is None else 1
        if ends[sent.place] < expected:
            yield f"L neither taken, repeated nor parked: {sent.place}"
        elif ends[sent.place] > expected:
            yield f"D {ends[sent.place]} ends instead of {expected}: {sent.place}"
    yield from (f"D from nowhere: {place}" for place in sorted(ends.keys() - there))


def taken_as_sent(dump: CampaignDump) -> Iterator[str]:
    """Each identity is taken once, as its record says; a copy has an original; what is parked could not be taken."""
    sent = {one.place: asked(one) for one in dump.sent}
    times = Counter(entry.asked.identity for entry in dump.ledger)
    yield from (f"D taken {count} times: {identity}" for identity, count in times.items() if count > 1)
    for entry in dump.ledger:
        if sent.get(entry.place) != entry.asked:
            yield f"D taken otherwise than sent: {entry}, sent {sent.get(entry.place)}"
    for place in sorted(dump.copies):
        original = sent.get(place)
        if original is None or original.identity not in times:
            yield f"L called a copy, and there is no original: {place}"
    for letter in dump.letters:
        one = sent.get(letter.place)
        if one is not None and one.smb in dump.standings:
            yield f"L parked, and it could have been taken: {one}"


def in_the_order_of_sending(dump: CampaignDump) -> Iterator[str]:
    """What was sent about one SMB over one partition is taken in its order."""
    last: dict[tuple[SmbKey, str, int], int] = {}
    for entry in dump.ledger:
        line = entry.asked.smb, entry.place.topic, entry.place.partition
        if entry.place.offset < last.get(line, -1):
            yield f"O taken after what was sent later: {entry}"
        last[line] = entry.place.offset


def history_is_a_replay(dump: CampaignDump) -> Iterator[str]:
    """Each command of the ledger is one step, in its order; each step is as the rules have it, up to the status now."""
    commands: defaultdict[SmbKey, list[tuple[str, str, str]]] = defaultdict(list)
    for entry in dump.ledger:
        if entry.asked.type in ACTIONS:
            commands[entry.asked.smb].append((ACTIONS[entry.asked.type], entry.outcome, entry.asked.id))
    steps: defaultdict[SmbKey, list[Step]] = defaultdict(list)
    for step in dump.history:
        steps[step.smb].append(step)
    for smb in sorted({*commands, *steps, *dump.standings}):
        ids = {id_ for _, _, id_ in commands[smb]}
        done = [(one.action, one.outcome, one.caused_by) for one in steps[smb] if one.caused_by in ids]
        if done != commands[smb]:
            yield f"S commanded {commands[smb]}, done {done}: {smb}"
        status = "draft"
        for step in steps[smb]:
            origins, target = MOVES[step.action]
            outcome, becomes = ("applied", target) if status in origins else ("refused", status)
            if step != Step(smb, step.action, outcome, status, becomes, step.caused_by):
                yield f"S from {status}, replayed {outcome} to {becomes}: {step}"
            status = becomes
        stored = dump.standings.get(smb)
        if stored is None or stored.status != status:
            yield f"S stored {stored}, replayed {status}: {smb}"


def pending_is_a_replay(dump: CampaignDump) -> Iterator[str]:
    """Pending services are those approved, each once, in the order of arrival; without an SMB they wait."""
    pending: defaultdict[SmbKey, list[str]] = defaultdict(list)
    for entry in dump.ledger:
        smb, service = entry.asked.smb, entry.asked.service
        if entry.asked.type in ACTIONS:
            continue
        outcome = "applied" if smb in dump.standings or service is None else "waiting"
        if entry.outcome != outcome:
            yield f"S {entry.outcome} instead of {outcome}: {entry}"
        if service is not None and service not in pending[smb]:
            pending[smb].append(service)
    for smb, stored in dump.standings.items():
        if stored.pending != tuple(pending[smb]):
            yield f"S pending {stored.pending}, replayed {pending[smb]}: {smb}"


def told_as_it_happened(dump: CampaignDump) -> Iterator[str]:
    """Each applied step is told once, in order, with its cause; each change of pending services, from the last one."""
    stories: defaultdict[SmbKey, dict[tuple[int, int], Told]] = defaultdict(dict)
    for told in dump.told:
        stories[told.smb].setdefault((told.epoch, told.sequence), told)
    happened: defaultdict[SmbKey, list[tuple[str, str, str | None]]] = defaultdict(list)
    for step in dump.history:
        if step.outcome == "applied":
            happened[step.smb].append((step.old_status, step.new_status, step.caused_by))
    for smb in sorted({*stories, *dump.standings}):
        story = [told for _, told in sorted(stories[smb].items())]
        moves = [_move(told) for told in story if told.type == "SMBCampaignChanged"]
        if moves != happened[smb]:
            yield f"S told {moves}, happened {happened[smb]}: {smb}"
        changes = [told.data["changes"].get("services_approved_pending") for told in story if told.type == "SMBUpdated"]
        lists = [[], *(change["new"] for change in changes if change)]
        if [change["old"] for change in changes if change] != lists[:-1]:
            yield f"S told of pending services with a gap: {changes}: {smb}"
        if any(before == after for before, after in pairwise(lists)):
            yield f"S told of pending services that did not change: {changes}: {smb}"
        stored = dump.standings.get(smb)
        if lists[-1] != list(stored.pending if stored else ()):
            yield f"S told of {lists[-1]}, stored {stored}: {smb}"


def asked(sent: Sent) -> Asked | None:
    """Read a command or an approval in the plainest way; None for anything else."""
    headers = dict(sent.headers)
    try:
        body: dict[str, Any] = json.loads(sent.value or b"")
        if headers.get("ce_id") is not None and "specversion" not in body:
            given = [(name.removeprefix("ce_"), value) for name, value in headers.items() if value is not None]
            body = {**{name: value.decode() for name, value in given}, "data": body}
        data = body["data"]
        smb = SmbKey(UUID(body["tenantid"]), UUID(data["smb_id"]))
        expected = [*ACTIONS] if sent.place.topic == COMMANDS else ["ApprovalSubmitted"]
        type_ = expected[expected.index(body["type"])]
        is_approved = type_ not in ACTIONS and data.get("decision", "approved") == "approved"
        return Asked(smb, body["source"], body["id"], type_, data["service"] if is_approved else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _move(told: Told) -> tuple[str, str, str | None]:
    cause = dict(told.content[0]).get("ce_causationid")
    return told.data["old_status"], told.data["new_status"], None if cause is None else cause.decode()
