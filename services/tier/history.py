"""The history of an SMB's tier: each change, newest first."""

from dataclasses import dataclass
from datetime import datetime

from services.tier import rules, store
from shared.runtime.database import Transaction
from shared.runtime.pages import Page, rows_to_read
from shared.schemas.identity import SmbKey

_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PastChange:
    """One change of tier, by which score, why and by which policy; `id` orders the changes of an SMB."""

    id: int
    changed_at: datetime
    old_tier: int
    new_tier: int
    score: int
    reason: str
    policy_version: str

    @property
    def direction(self) -> str:
        """An upgrade or a downgrade."""
        return rules.direction(self.old_tier, self.new_tier)


async def tier_changes(
    transaction: Transaction, smb: SmbKey, size: int, *, after: int | None = None
) -> Page[PastChange, int]:
    """Give a page of at most `size` changes before the one with the id `after`, or the newest.

    Raises ValueError for a size beyond 1 to 200.
    """
    rows = await store.read_changes(transaction, smb, _NEWEST if after is None else after, rows_to_read(size))
    return Page.of([PastChange(**row) for row in rows], size, lambda change: change.id)
