"""Pages of a long list. Each begins behind a position, not at a count, so nothing is shown twice when rows come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

PAGE_MAX_ENTRIES = 200

Entry = TypeVar("Entry")
Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry, Position]):
    """Some entries of a list, in its order; the next page begins behind `last`, which is None when nothing follows."""

    entries: Sequence[Entry]
    last: Position | None

    @classmethod
    def of(cls, found: Sequence[Entry], size: int, position_of: Callable[[Entry], Position]) -> Self:
        """Make a page of at most `size` of what `rows_to_read(size)` rows gave: one more tells that something follows.

        Called with the same rows it gives the same page.
        """
        entries = found[:size]
        return cls(entries, position_of(entries[-1]) if len(found) > size else None)


def rows_to_read(size: int) -> int:
    """How many rows to read for a page of `size` entries. Raises ValueError when that is none or more than 200."""
    if not 1 <= size <= PAGE_MAX_ENTRIES:
        message = f"a page has 1 to {PAGE_MAX_ENTRIES} entries, not {size}"
        raise ValueError(message)
    return size + 1
