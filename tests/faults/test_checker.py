"""The checker finds what it is there to find: a flawless run passes, and every mutant of it fails."""

import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest

from services.engagement import rules
from services.engagement.rules import ScoredEvent
from shared.schemas.identity import Place, SmbKey
from shared.schemas.policy import Policy
from tests.faults.checker import LAST_SEEN, Dump, Head, Letter, Sent, Stored, Told, check, reported
from tests.faults.traffic import traffic

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SMBS = [SmbKey(uuid.UUID(int=1), uuid.UUID(int=number)) for number in range(1, 7)]
UNKNOWN = SMBS[-1]
SEEDS = range(3)


@cache
def flawless(seed: int) -> Dump:
    """What a perfect worker that takes one record after another leaves behind."""
    offsets: Counter[str] = Counter()
    sent: list[Sent] = []
    for message in traffic(seed, SMBS, 300, now=NOW):
        sent.append(
            Sent(Place(message.topic, 0, offsets[message.topic]), message.key, message.value, tuple(message.headers))
        )
        offsets[message.topic] += 1
    applied: dict[object, Stored] = {}
    of_smb: defaultdict[SmbKey, list[Stored]] = defaultdict(list)
    copies, letters, told = set(), [], []
    announced: Counter[SmbKey] = Counter()
    numbers: Counter[SmbKey] = Counter()
    for record in sent:
        event = reported(record)
        if event is None:
            letters.append(Letter(record.place, "engagement", record.key, record.value, record.headers))
        elif event.identity in applied:
            copies.add(record.place)
        else:
            applied[event.identity] = event
            of_smb[event.smb].append(event)
            score = score_of(of_smb[event.smb])
            if event.smb != UNKNOWN and rules.is_announced(announced[event.smb], score):
                numbers[event.smb] += 1
                told.append(announcement(event.smb, numbers[event.smb], announced[event.smb], score))
                announced[event.smb] = score
    heads = {
        smb: Head(numbers[smb], score_of(events), announced[smb], NOW.date(), last_seen(events))
        for smb, events in of_smb.items()
    }
    return Dump(
        sent=sent,
        acknowledged=frozenset(one.place for one in sent),
        events=list(applied.values()),
        copies=frozenset(copies),
        letters=letters,
        heads=heads,
        live=frozenset(SMBS) - {UNKNOWN},
        told=told,
    )


def score_of(events: list[Stored]) -> int:
    scored = [ScoredEvent(one.kind, one.occurred_at) for one in events]
    return rules.score(scored, Policy.default().score, NOW.date()).score


def last_seen(events: list[Stored]) -> dict[str, datetime | None]:
    return {
        name: max((one.occurred_at for one in events if one.kind in kinds), default=None)
        for name, kinds in LAST_SEEN.items()
    }


def announcement(smb: SmbKey, sequence: int, old: int, new: int) -> Told:
    body = json.dumps({"smb_id": str(smb.smb_id), "old_score": old, "new_score": new}).encode()
    return Told(smb, 1, sequence, "SMBEngagementChanged", ((("ce_sequence", str(sequence).encode()),), body))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flawless_run_passes(seed: int) -> None:
    dump = flawless(seed)
    assert dump.copies
    assert dump.letters
    assert len(dump.told) > 5
    assert check(dump) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_of_announcements_pass_in_whatever_order_they_come_again(seed: int) -> None:
    dump = flawless(seed)
    half = len(dump.told) // 2
    assert check(replace(dump, told=[*dump.told[:half], *dump.told[:half], *dump.told])) == []


def one_event_dropped(dump: Dump, chance: random.Random) -> Dump:
    gone = chance.choice(dump.events)
    return replace(dump, events=[one for one in dump.events if one != gone])


def one_record_gone_from_kafka(dump: Dump, chance: random.Random) -> Dump:
    gone = chance.choice(dump.events)
    return replace(
        dump,
        sent=[one for one in dump.sent if one.place != gone.place],
        events=[one for one in dump.events if one != gone],
    )


def one_event_doubled(dump: Dump, chance: random.Random) -> Dump:
    return replace(dump, events=[*dump.events, chance.choice(dump.events)])


def identity_check_removed(dump: Dump, chance: random.Random) -> Dump:
    """Every copy was applied like a new event."""
    del chance
    copies = [reported(one) for one in dump.sent if one.place in dump.copies]
    return replace(dump, events=[*dump.events, *(one for one in copies if one)], copies=frozenset())


def a_copy_taken_for_an_original(dump: Dump, chance: random.Random) -> Dump:
    new = chance.choice(dump.events)
    return replace(dump, events=[one for one in dump.events if one != new], copies=dump.copies | {new.place})


def an_event_stored_for_another_smb(dump: Dump, chance: random.Random) -> Dump:
    moved = chance.choice(dump.events)
    other = next(smb for smb in SMBS if smb != moved.smb)
    return replace(dump, events=[one if one != moved else one._replace(smb=other) for one in dump.events])


def two_announcements_swapped(dump: Dump, chance: random.Random) -> Dump:
    told = list(dump.told)
    pairs = [
        (one, other)
        for one in range(len(told))
        for other in range(one + 1, len(told))
        if told[one].smb == told[other].smb
    ]
    one, other = chance.choice(pairs)
    told[one], told[other] = told[other], told[one]
    return replace(dump, told=told)


def an_announcement_missing(dump: Dump, chance: random.Random) -> Dump:
    gone = chance.choice(dump.told)
    return replace(dump, told=[one for one in dump.told if one != gone])


def an_announcement_never_made(dump: Dump, chance: random.Random) -> Dump:
    """The last one of an SMB, and its number was never taken either."""
    smb = chance.choice(dump.told).smb
    story = [one for one in dump.told if one.smb == smb]
    heads = dict(dump.heads)
    heads[smb] = heads[smb]._replace(sequence=len(story) - 1, announced=story[-1].data["old_score"])
    return replace(dump, told=[one for one in dump.told if one != story[-1]], heads=heads)


def a_number_left_out(dump: Dump, chance: random.Random) -> Dump:
    smb = chance.choice(dump.told).smb
    last = max(one.sequence for one in dump.told if one.smb == smb)
    heads = dict(dump.heads)
    heads[smb] = heads[smb]._replace(sequence=last + 1)
    told = [one if (one.smb, one.sequence) != (smb, last) else one._replace(sequence=last + 1) for one in dump.told]
    return replace(dump, told=told, heads=heads)


def a_copy_that_differs(dump: Dump, chance: random.Random) -> Dump:
    one = chance.choice(dump.told)
    return replace(dump, told=[*dump.told, one._replace(content=(one.content[0], one.content[1] + b" "))])


def an_announcement_told_twice_under_two_numbers(dump: Dump, chance: random.Random) -> Dump:
    smb = chance.choice(dump.told).smb
    last = [one for one in dump.told if one.smb == smb][-1]
    heads = dict(dump.heads)
    heads[smb] = heads[smb]._replace(sequence=last.sequence + 1)
    return replace(dump, told=[*dump.told, last._replace(sequence=last.sequence + 1)], heads=heads)


def a_score_that_is_off_by_one(dump: Dump, chance: random.Random) -> Dump:
    smb = chance.choice(list(dump.heads))
    return replace(dump, heads=dump.heads | {smb: dump.heads[smb]._replace(score=dump.heads[smb].score + 1)})


def a_last_moment_that_went_back(dump: Dump, chance: random.Random) -> Dump:
    smb = chance.choice([smb for smb, head in dump.heads.items() if head.last_seen["last_email_open"]])
    earlier = dump.heads[smb].last_seen | {"last_email_open": datetime(2026, 1, 1, tzinfo=UTC)}
    return replace(dump, heads=dump.heads | {smb: dump.heads[smb]._replace(last_seen=earlier)})


def poison_thrown_away(dump: Dump, chance: random.Random) -> Dump:
    return replace(dump, letters=[one for one in dump.letters if one != chance.choice(dump.letters)][:-1])


def poison_parked_with_other_bytes(dump: Dump, chance: random.Random) -> Dump:
    one = chance.choice(dump.letters)
    changed = [it if it != one else it._replace(value=(it.value or b"") + b"\0") for it in dump.letters]
    return replace(dump, letters=changed)


def poison_parked_without_a_header(dump: Dump, chance: random.Random) -> Dump:
    one = chance.choice(dump.letters)
    return replace(dump, letters=[it if it != one else it._replace(headers=()) for it in dump.letters])


def poison_parked_twice(dump: Dump, chance: random.Random) -> Dump:
    return replace(dump, letters=[*dump.letters, chance.choice(dump.letters)._replace(service="campaign")])


MUTANTS: dict[str, list[Callable[[Dump, random.Random], Dump]]] = {
    "L": [one_event_dropped, one_record_gone_from_kafka, a_copy_taken_for_an_original, poison_thrown_away],
    "D": [one_event_doubled, identity_check_removed, an_event_stored_for_another_smb, poison_parked_twice],
    "O": [two_announcements_swapped, an_announcement_missing, a_number_left_out, a_copy_that_differs],
    "S": [
        an_announcement_never_made,
        an_announcement_told_twice_under_two_numbers,
        a_score_that_is_off_by_one,
        a_last_moment_that_went_back,
    ],
    "P": [poison_parked_with_other_bytes, poison_parked_without_a_header, poison_parked_twice],
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("letter", "mutate"),
    [pytest.param(letter, one, id=f"{letter} {one.__name__}") for letter, each in MUTANTS.items() for one in each],
)
def test_a_mutant_fails(letter: str, mutate: Callable[[Dump, random.Random], Dump], seed: int) -> None:
    complaints = check(mutate(flawless(seed), random.Random(seed)))
    assert any(one.startswith(letter) for one in complaints), complaints
