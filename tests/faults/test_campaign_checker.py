"""The checker of campaigns finds what it is there to find: a flawless run passes, and every mutant of it fails."""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.schemas.identity import Place, SmbKey
from tests.faults.campaign_checker import ACTIONS, APPROVALS, CampaignDump, Entry, Step, asked, check_campaigns
from tests.faults.checker import Letter
from tests.faults.perfect_campaign_worker import SMBS, flawless

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flawless_run_passes(seed: int) -> None:
    dump = flawless(seed)
    assert dump.copies
    assert {entry.outcome for entry in dump.ledger} == {"applied", "refused", "waiting"}
    assert {step.action for step in dump.history} == set(ACTIONS.values())
    assert any(asked(one) for one in dump.sent if one.place in {letter.place for letter in dump.letters})
    assert check_campaigns(dump) == []


def commands_of(dump: CampaignDump, outcome: str = "applied") -> list[Entry]:
    return [one for one in dump.ledger if one.asked.type in ACTIONS and one.outcome == outcome]


def approvals_of(dump: CampaignDump) -> list[Entry]:
    return [one for one in dump.ledger if one.asked.service and one.outcome == "applied"]


def without(dump: CampaignDump, gone: Entry) -> CampaignDump:
    ledger = [one for one in dump.ledger if one != gone]
    return replace(dump, ledger=ledger, history=[one for one in dump.history if one.caused_by != gone.asked.id])


def parked(dump: CampaignDump, place: Place) -> CampaignDump:
    (one,) = [one for one in dump.sent if one.place == place]
    return replace(dump, letters=[*dump.letters, Letter(place, "campaign", one.key, one.value, one.headers)])


def a_command_dropped(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    return without(dump, chance.choice(commands_of(dump, "refused")))


def a_command_gone_from_kafka(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice(commands_of(dump))
    return replace(dump, sent=[one for one in dump.sent if one.place != gone.place])


def a_command_both_taken_and_parked(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    return parked(dump, chance.choice(commands_of(dump)).place)


def a_command_parked_although_its_smb_is_there(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice(commands_of(dump, "refused"))
    return parked(without(dump, gone), gone.place)


def a_copy_taken_again(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    place = chance.choice(sorted(dump.copies))
    (again,) = [asked(one) for one in dump.sent if one.place == place]
    assert again
    return replace(dump, ledger=[*dump.ledger, Entry(again, place, "refused")], copies=dump.copies - {place})


def an_original_taken_for_a_copy(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice(dump.ledger)
    return replace(dump, ledger=[one for one in dump.ledger if one != gone], copies=dump.copies | {gone.place})


def a_command_taken_for_another_smb(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    moved = chance.choice(commands_of(dump))
    other = next(smb for smb in SMBS if smb != moved.asked.smb)
    changed = moved._replace(asked=moved.asked._replace(smb=other))
    return replace(dump, ledger=[changed if one == moved else one for one in dump.ledger])


def two_commands_swapped(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    of_smb: defaultdict[SmbKey, list[Entry]] = defaultdict(list)
    for one in commands_of(dump):
        of_smb[one.asked.smb].append(one)
    first, second = chance.choice(list(of_smb.values()))[:2]
    swapped = {first: second, second: first}
    return replace(dump, ledger=[swapped.get(one, one) for one in dump.ledger])


def a_step_made_twice(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    twice = chance.choice(dump.history)
    return replace(dump, history=[*dump.history, twice])


def a_step_missing(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice(dump.history)
    return replace(dump, history=[one for one in dump.history if one != gone])


def a_possible_command_refused(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    """Consistently, also in the ledger."""
    one = chance.choice(commands_of(dump))
    steps = [step if step.caused_by != one.asked.id else refused(step) for step in dump.history]
    ledger = [entry if entry != one else entry._replace(outcome="refused") for entry in dump.ledger]
    return replace(dump, ledger=ledger, history=steps)


def refused(step: Step) -> Step:
    return step._replace(outcome="refused", new_status=step.old_status)


def a_status_that_nothing_led_to(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    smb = chance.choice(list(dump.standings))
    return replace(dump, standings=dump.standings | {smb: dump.standings[smb]._replace(status="completed")})


def a_pending_service_lost(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    smb = chance.choice([smb for smb, one in dump.standings.items() if one.pending])
    stored = dump.standings[smb]
    return replace(dump, standings=dump.standings | {smb: stored._replace(pending=stored.pending[1:])})


def an_approval_left_waiting(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    one = chance.choice(approvals_of(dump))
    return replace(dump, ledger=[it if it != one else it._replace(outcome="waiting") for it in dump.ledger])


def a_move_never_told(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice([one for one in dump.told if one.type == "SMBCampaignChanged"])
    return replace(dump, told=[one for one in dump.told if one != gone])


def a_move_told_twice_under_two_numbers(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    one = chance.choice([one for one in dump.told if one.type == "SMBCampaignChanged"])
    return replace(dump, told=[*dump.told, one._replace(sequence=1000)])


def a_pending_service_never_told(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    gone = chance.choice([one for one in dump.told if one.type == "SMBUpdated"])
    return replace(dump, told=[one for one in dump.told if one != gone])


def a_pending_service_told_twice(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    one = chance.choice([one for one in dump.told if one.type == "SMBUpdated"])
    return replace(dump, told=[*dump.told, one._replace(sequence=1000)])


def poison_parked_with_other_bytes(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    one = chance.choice(dump.letters)
    changed = [it if it != one else it._replace(value=(it.value or b"") + b"\0") for it in dump.letters]
    return replace(dump, letters=changed)


def an_approval_that_does_not_decode_parked_here_too(dump: CampaignDump, chance: random.Random) -> CampaignDump:
    """The engagement service parks it."""
    del chance
    (place,) = [one.place for one in dump.sent if one.place.topic == APPROVALS and asked(one) is None]
    return parked(dump, place)


MUTANTS: dict[str, list[Callable[[CampaignDump, random.Random], CampaignDump]]] = {
    "L": [
        a_command_dropped,
        a_command_gone_from_kafka,
        an_original_taken_for_a_copy,
        a_command_parked_although_its_smb_is_there,
    ],
    "D": [
        a_command_both_taken_and_parked,
        a_copy_taken_again,
        a_command_taken_for_another_smb,
        an_approval_that_does_not_decode_parked_here_too,
    ],
    "O": [two_commands_swapped],
    "S": [
        a_step_made_twice,
        a_step_missing,
        a_possible_command_refused,
        a_status_that_nothing_led_to,
        a_pending_service_lost,
        an_approval_left_waiting,
        a_move_never_told,
        a_move_told_twice_under_two_numbers,
        a_pending_service_never_told,
        a_pending_service_told_twice,
    ],
    "P": [poison_parked_with_other_bytes],
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("letter", "mutate"),
    [pytest.param(letter, one, id=f"{letter} {one.__name__}") for letter, each in MUTANTS.items() for one in each],
)
def test_a_mutant_fails(letter: str, mutate: Callable[[CampaignDump, random.Random], CampaignDump], seed: int) -> None:
    complaints = check_campaigns(mutate(flawless(seed), random.Random(seed)))
    assert any(one.startswith(letter) for one in complaints), complaints
