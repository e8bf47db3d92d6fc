"""Free slugs for many new SMBs or communities at once."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from services.records.rules import slug_candidate

# How many numbers are tried at first; each further try looks at so many times more.
FIRST_NUMBERS = 8
GROWTH = 8

Named = tuple[UUID, str]
FindTaken = Callable[[set[Named]], Awaitable[set[Named]]]


async def free_slugs(stems: Sequence[Named], find_taken: FindTaken) -> list[str]:
    """Give each (tenant, stem) the first slug that is free in its tenant, in order, none of them twice.

    `find_taken` tells which (tenant, slug) exist; the caller holds the lock on the tenants' names.
    """
    given: dict[int, str] = {}
    used: set[Named] = set()
    first, after = 1, 1 + FIRST_NUMBERS
    while len(given) < len(stems):
        numbers = range(first, after)
        waiting = [place for place in range(len(stems)) if place not in given]
        candidates = {
            (tenant_id, slug_candidate(stem, number))
            for tenant_id, stem in {stems[place] for place in waiting}
            for number in numbers
        }
        used |= await find_taken(candidates)
        for place in waiting:
            tenant_id, stem = stems[place]
            slug = next(
                (one for one in (slug_candidate(stem, n) for n in numbers) if (tenant_id, one) not in used), None
            )
            if slug is not None:
                given[place] = slug
                used.add((tenant_id, slug))
        first, after = after, after + len(numbers) * GROWTH
    return [given[place] for place in range(len(stems))]
