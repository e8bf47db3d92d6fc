"""What `--once` tells at its end, and whether the numbers add up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.demo.population import Population
from services.demo.traffic import Kind
from services.verify import Verification
from shared.schemas.policy import Policy

COLUMNS = ("in", "applied", "repeated", "refused", "erased", "dead letters")
NAME_WIDTH = 14


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one sort of input: each is in exactly one of the five ends."""

    name: str
    taken_in: int
    applied: int
    repeated: int
    refused: int
    erased: int
    dead_letters: int

    @property
    def ends(self) -> int:
        """How many have ended."""
        return self.applied + self.repeated + self.refused + self.erased + self.dead_letters

    @property
    def numbers(self) -> tuple[int, ...]:
        """In the order of the columns."""
        return (self.taken_in, self.applied, self.repeated, self.refused, self.erased, self.dead_letters)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the last lines say."""

    policy: Policy
    population: Population
    made: Mapping[Kind, int]
    fates: Sequence[Fate]
    dead_letter_classes: Mapping[str, int]
    events_waiting: int
    smbs_waited_for: int
    tiers: Mapping[int, int]
    campaigns: Mapping[str, int]
    announcements_stored: int
    announcement_types: Mapping[str, int]
    copies: int
    imported: Mapping[str, int]
    addresses: Sequence[str]
    gaps: int
    verification: Verification

    def lines(self) -> Iterator[str]:
        """The summary for people; the last line says how many SMBs are right."""
        yield _row("", COLUMNS)
        for fate in self.fates:
            yield _row(fate.name, [f"{number:,}" for number in fate.numbers])
        yield _named("dead letters", _listed(self.dead_letter_classes))
        yield _named("waiting", f"{self.events_waiting:,} events for {self.smbs_waited_for} SMBs that nobody created")
        smbs = len(self.population.known) + len(self.population.newcomers)
        yield _named("SMBs", f"{smbs:,} in {len(self.population.communities)} communities")
        yield _named("import", _listed(self.imported))
        yield _named("tiers", _listed({tier.name: self.tiers.get(tier.tier, 0) for tier in self.policy.tiers}))
        yield _named("announcements", f"{_listed(self.announcement_types)} (read back in order, without a gap)")
        yield _named("campaigns", _listed(self.campaigns))
        found = self.verification
        equal = found.smbs_checked - found.smbs_differing
        for address in self.addresses:
            yield _named("while it runs", address)
        yield f"{equal:,} of {found.smbs_checked:,} SMBs equal a replay of their events"

    def problems(self) -> Iterator[str]:
        """What is wrong, in one line each; nothing when all is well."""
        for fate in self.fates:
            if fate.ends != fate.taken_in:
                yield f"{fate.name}: {fate.taken_in} went in, but {fate.ends} ended"
        events = self.fates[0]
        expected = (self.made[Kind.EVENT], self.made[Kind.REPEATED], self.made[Kind.BROKEN])
        if (events.applied, events.repeated, events.dead_letters) != expected:
            yield f"events: applied, repeated and dead letters should be {expected}"
        read = sum(self.announcement_types.values())
        if read != self.announcements_stored:
            yield f"{self.announcements_stored} announcements are stored, but {read} stand on smb.events"
        if self.gaps:
            yield f"{self.gaps} gaps in the sequences of the announcements"
        if self.verification.mismatches:
            kinds = {kind: count for kind, count in self.verification.mismatches_by_kind.items() if count}
            yield f"{self.verification.smbs_differing} SMBs differ from a replay ({_listed(kinds)})"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>14}" for cell in cells)


def _named(name: str, text: str) -> str:
    return f"{name:<{NAME_WIDTH}}  {text}"


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items()) or "none"
