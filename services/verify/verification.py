"""Puts the services' checks together: SMBs in the order of their heads, one snapshot for each chunk.

A chunk is a range of keys, and the next one begins where it ends, so that also events are seen which have no head.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.campaign import verification as campaign
from services.engagement import verification as engagement
from services.records import verification as records
from services.tier import verification as tier
from services.verify import store
from shared.runtime import sequences
from shared.runtime.database import Database
from shared.runtime.differences import Check, Difference
from shared.runtime.errors import is_too_slow
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

# Of SMBs that have a head; engagement looks at ranges, because its events need none.
CHECKS: tuple[Check, ...] = (tier.differences, campaign.differences, records.differences, sequences.differences)
KINDS = (*engagement.KINDS, *tier.KINDS, *campaign.KINDS, *records.KINDS, sequences.KIND)

# SMBs that are read in one transaction: enough to be quick, few enough for any memory.
CHUNK_SMBS = 1000

LOWEST_ID, HIGHEST_ID = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Verification:
    """What one verification found; `mismatches_by_kind` has every kind, also those without a mismatch.

    An SMB that only its events tell of is checked too.
    """

    started_at: datetime
    finished_at: datetime
    smbs_checked: int
    smbs_differing: int
    mismatches: int
    mismatches_by_kind: dict[str, int]


class Chunk(NamedTuple):
    """What was found in one range of keys: its heads, its differences, and where it ends."""

    keys: Sequence[SmbKey]
    found: list[Difference]
    last: SmbKey


async def verify(  # noqa: PLR0913  what to check, how, and whom to tell
    database: Database,
    policy: Policy,
    *,
    tenant_id: UUID | None = None,
    chunk_smbs: int = CHUNK_SMBS,
    on_difference: Callable[[Difference], None] = lambda _: None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Check every SMB, or those of one tenant; `on_difference` gets each difference, `on_progress` numbers of SMBs.

    A verification of all tenants is noted in `verifications`, which is what the metric shows. Changes nothing else.
    """
    started_at = await store.clock(database)
    by_kind: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    checked = differing = 0
    first: SmbKey | None = SmbKey(tenant_id or LOWEST_ID, LOWEST_ID)
    last = SmbKey(tenant_id or HIGHEST_ID, HIGHEST_ID)
    while first is not None:
        chunk = await _check_chunk(database, policy, first, last, chunk_smbs)
        by_kind.update(one.kind for one in chunk.found)
        smbs_differing = {one.smb for one in chunk.found}
        checked += len(smbs_differing.union(chunk.keys))
        differing += len(smbs_differing)
        for one in chunk.found:
            on_difference(one)
        on_progress(len(chunk.keys))
        first = _following(chunk.last) if chunk.last < last else None
    finished_at = await store.clock(database)
    verification = Verification(started_at, finished_at, checked, differing, by_kind.total(), dict(by_kind))
    if tenant_id is None:
        await store.note(
            database,
            started_at=started_at,
            finished_at=finished_at,
            smbs_checked=checked,
            mismatches_by_kind=verification.mismatches_by_kind,
        )
    return verification


async def _check_chunk(database: Database, policy: Policy, first: SmbKey, last: SmbKey, chunk_smbs: int) -> Chunk:
    """Check the next SMBs from `first` on, and whatever lies between them; all up to `last` where they are few.

    Fewer of them where they have so much history that the time does not suffice.
    """
    while True:
        try:
            async with store.snapshot(database) as transaction:
                keys = await store.next_keys(transaction, first, last, chunk_smbs)
                end = last if len(keys) < chunk_smbs else keys[-1]
                found = await engagement.differences(transaction, keys, policy, first, end)
                if keys:
                    found += [one for check in CHECKS for one in await check(transaction, keys, policy)]
        except Exception as error:
            if not is_too_slow(error) or chunk_smbs == 1:
                raise
            chunk_smbs = max(1, chunk_smbs // 10)
        else:
            return Chunk(keys, sorted(found, key=lambda one: one.smb), end)


def _following(key: SmbKey) -> SmbKey:
    """The very next key; there is one after every key but the highest."""
    if key.smb_id == HIGHEST_ID:
        return SmbKey(UUID(int=key.tenant_id.int + 1), LOWEST_ID)
    return SmbKey(key.tenant_id, UUID(int=key.smb_id.int + 1))
