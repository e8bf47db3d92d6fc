"""Free slugs for many new SMBs or communities at once."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from services.records.rules import slug_candidate

# How many candidates are looked up at first, for all names together; each further try looks at so many times more
# numbers of those names that are still without a slug.
FIRST_CANDIDATES = 8
GROWTH = 8

Named = tuple[UUID, str]
FindTaken = Callable[[set[Named]], Awaitable[set[Named]]]


async def free_slugs(stems: Sequence[Named], find_taken: FindTaken) -> list[str]:
    """Give each (tenant, stem) a slug that is free in its tenant: the lowest numbers, in order, none twice.

    `find_taken` tells which (tenant, slug) exist; the caller holds the lock on the tenants' names.
    """
    given: dict[int, str] = {}
    waiting: dict[Named, deque[int]] = {}
    for place, named in enumerate(stems):
        waiting.setdefault(named, deque()).append(place)
    used: set[Named] = set()
    first, after = 1, 1 + max(1, FIRST_CANDIDATES // max(1, len(waiting)))
    while waiting:
        numbers = range(first, after)
        used |= await find_taken({(tenant_id, slug_candidate(stem, n)) for tenant_id, stem in waiting for n in numbers})
        for (tenant_id, stem), places in waiting.items():
            for slug in (slug_candidate(stem, number) for number in numbers):
                if not places:
                    break
                if (tenant_id, slug) not in used:
                    used.add((tenant_id, slug))
                    given[places.popleft()] = slug
        waiting = {named: places for named, places in waiting.items() if places}
        first, after = after, after + len(numbers) * GROWTH
    return [given[place] for place in range(len(stems))]
