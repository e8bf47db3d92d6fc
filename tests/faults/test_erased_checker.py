"""The checker finds whatever is left of an erased SMB, or wrong in how it was told."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import LAST_SEEN, Dump, Head, Letter, Told, reported
from tests.faults.erased_checker import apart_from_erased, check_with_erased, names_erased
from tests.faults.test_checker import NOW, SEEDS, SMBS, flawless

ERASED = frozenset(SMBS[1:3])


def told_of(sequence: int, type_: str = "SMBErased", smb: int = 1) -> Told:
    return Told(SMBS[smb], 1, sequence, type_, ((), b"{}"))


def erased(seed: int) -> Dump:
    """A flawless run in which two SMBs were erased at the end."""
    dump = replace(flawless(seed), erased=ERASED)
    named = {one.place for one in dump.sent if names_erased(one, ERASED)}
    heads, told = dict(dump.heads), list(dump.told)
    for number, smb in enumerate(SMBS[1:3], 1):
        sequence = dump.heads[smb].sequence + 1
        heads[smb] = Head(sequence, 0, 0, None, dict.fromkeys(LAST_SEEN))
        told.append(told_of(sequence, smb=number))
    return replace(
        dump,
        events=[one for one in dump.events if one.smb not in ERASED],
        copies=dump.copies - named,
        letters=[one for one in dump.letters if one.place not in named],
        heads=heads,
        live=dump.live - ERASED,
        told=told,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flawless_erasure_passes(seed: int) -> None:
    dump = erased(seed)
    assert check_with_erased(dump) == []
    assert 0 < len(apart_from_erased(dump).sent) < len(dump.sent)
    assert len(dump.letters) < len(flawless(seed).letters)


def an_event_kept(dump: Dump, chance: random.Random) -> Dump:
    events = [one for one in map(reported, dump.sent) if one is not None and one.smb in ERASED]
    return replace(dump, events=[*dump.events, chance.choice(events)])


def a_letter_kept(dump: Dump, chance: random.Random) -> Dump:
    letters = [one for one in dump.sent if names_erased(one, ERASED) and reported(one) is None]
    one = chance.choice(letters)
    return replace(dump, letters=[*dump.letters, Letter(one.place, "engagement", one.key, one.value, one.headers)])


def a_copy_kept(dump: Dump, chance: random.Random) -> Dump:
    one = chance.choice([one for one in dump.sent if names_erased(one, ERASED)])
    return replace(dump, copies=dump.copies | {one.place})


def a_score_kept(dump: Dump, chance: random.Random) -> Dump:
    del chance
    return replace(dump, heads=dump.heads | {SMBS[1]: dump.heads[SMBS[1]]._replace(scored_on=NOW.date())})


def there_again(dump: Dump, chance: random.Random) -> Dump:
    del chance
    return replace(dump, live=dump.live | {SMBS[2]})


def not_told(dump: Dump, chance: random.Random) -> Dump:
    del chance
    heads = dump.heads | {SMBS[1]: dump.heads[SMBS[1]]._replace(sequence=dump.heads[SMBS[1]].sequence - 1)}
    return replace(dump, heads=heads, told=[one for one in dump.told if (one.smb, one.type) != (SMBS[1], "SMBErased")])


def told_of_afterwards(dump: Dump, chance: random.Random) -> Dump:
    type_ = chance.choice(["SMBUpdated", "SMBErased"])
    sequence = dump.heads[SMBS[1]].sequence + 1
    heads = dump.heads | {SMBS[1]: dump.heads[SMBS[1]]._replace(sequence=sequence)}
    return replace(dump, heads=heads, told=[*dump.told, told_of(sequence, type_)])


MUTANTS = (an_event_kept, a_letter_kept, a_copy_kept, a_score_kept, there_again, not_told, told_of_afterwards)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: str(mutate.__name__))
def test_a_mutant_fails(mutate: Callable[[Dump, random.Random], Dump], seed: int) -> None:
    complaints = check_with_erased(mutate(erased(seed), random.Random(seed)))
    assert any(one.startswith("E") for one in complaints), complaints


def test_a_gap_in_the_story_of_an_erased_smb_is_found() -> None:
    dump = erased(0)
    told = [one if one.smb != SMBS[1] else one._replace(sequence=one.sequence + 1) for one in dump.told]
    assert any(one.startswith("O") for one in check_with_erased(replace(dump, told=told)))
