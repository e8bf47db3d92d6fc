"""Puts the services' checks together: SMBs in the order of their heads, one snapshot for each chunk."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.campaign import verification as campaign
from services.engagement import verification as engagement
from services.tier import verification as tier
from services.verify import store
from shared.runtime import sequences
from shared.runtime.database import Database
from shared.runtime.differences import Check, Difference
from shared.runtime.errors import is_too_slow
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

CHECKS: tuple[Check, ...] = (
    engagement.differences,
    tier.differences,
    campaign.differences,
    sequences.differences,
)
KINDS = (*engagement.KINDS, *tier.KINDS, *campaign.KINDS, sequences.KIND)

# SMBs that are read in one transaction: enough to be quick, few enough for any memory.
CHUNK_SMBS = 1000


@dataclass(frozen=True, slots=True)
class Verification:
    """What one verification found; `mismatches_by_kind` has every kind, also those without a mismatch."""

    started_at: datetime
    finished_at: datetime
    smbs_checked: int
    smbs_differing: int
    mismatches: int
    mismatches_by_kind: dict[str, int]


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
    after: SmbKey | None = None
    while True:
        keys, found = await _check_chunk(database, policy, tenant_id, after, chunk_smbs)
        if not keys:
            break
        by_kind.update(one.kind for one in found)
        checked += len(keys)
        differing += len({one.smb for one in found})
        after = keys[-1]
        for one in found:
            on_difference(one)
        on_progress(len(keys))
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


async def _check_chunk(
    database: Database, policy: Policy, tenant_id: UUID | None, after: SmbKey | None, chunk_smbs: int
) -> tuple[Sequence[SmbKey], list[Difference]]:
    """Check the next SMBs; fewer of them where they have so much history that the time does not suffice."""
    while True:
        try:
            async with store.snapshot(database) as transaction:
                keys = await store.next_keys(transaction, after, tenant_id, chunk_smbs)
                found = [one for check in CHECKS for one in await check(transaction, keys, policy)] if keys else []
        except Exception as error:
            if not is_too_slow(error) or chunk_smbs == 1:
                raise
            chunk_smbs = max(1, chunk_smbs // 10)
        else:
            return keys, sorted(found, key=lambda one: one.smb)
