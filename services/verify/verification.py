"""Puts the services' checks together, chunk by chunk; also events are seen which have no head."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from services.campaign import verification as campaign
from services.engagement import verification as engagement
from services.records import verification as records
from services.tier import verification as tier
from services.verify import store
from shared.runtime import sequences
from shared.runtime.chunks import Chunk, each_chunk
from shared.runtime.database import Database, Transaction
from shared.runtime.differences import Check, Difference
from shared.runtime.heads import read_clock
from shared.schemas.policy import Policy

# Of SMBs that have a head; engagement looks at ranges, because its events need none.
CHECKS: tuple[Check, ...] = (tier.differences, campaign.differences, records.differences, sequences.differences)
KINDS = (*engagement.KINDS, *tier.KINDS, *campaign.KINDS, *records.KINDS, sequences.KIND)

# SMBs that are read in one transaction: enough to be quick, few enough for any memory.
CHUNK_SMBS = 1000


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
    started_at = await _clock(database)
    by_kind: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    checked = differing = 0
    look = partial(_check, policy=policy)
    async for chunk, found in each_chunk(database, look, smbs_most=chunk_smbs, tenant_id=tenant_id):
        by_kind.update(one.kind for one in found)
        smbs_differing = {one.smb for one in found}
        checked += len(smbs_differing.union(chunk.keys))
        differing += len(smbs_differing)
        for one in found:
            on_difference(one)
        on_progress(len(chunk.keys))
    finished_at = await _clock(database)
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


async def _check(transaction: Transaction, chunk: Chunk, policy: Policy) -> list[Difference]:
    """Check one chunk: everything that lies in its range."""
    found = await engagement.differences(transaction, chunk.keys, policy, chunk.first, chunk.last)
    if chunk.keys:
        found += [one for check in CHECKS for one in await check(transaction, chunk.keys, policy)]
    return sorted(found, key=lambda one: one.smb)


async def _clock(database: Database) -> datetime:
    async with database.transaction() as transaction:
        return await read_clock(transaction)
