"""Erasure: everything about an SMB goes, and a mark stays, so that no replay brings it back.

What is erased: profile, campaigns, events, histories, dead letters that name the SMB, answers to requests about it, and
messages that were told. The head stays, emptied and marked; its sequence goes on, so that SMBErased has its number. A
message that still waits in the outbox is left to the relay, because readers are promised every number: it goes once
Kafka has acknowledged SMBErased, the last one.

An SMB may have had a million events, which no transaction should remove at once. So an erasure removes so many, and the
records worker sweeps up the rest: whoever is marked gets nothing new. It sweeps once more when everybody who was
writing beside the erasure (a dead letter locks no head) has long ended.

What stands in Kafka stays there for as long as its topic keeps it: what others have published about the SMB, and what
was told of it on `smb.events`. Read again, it counts as erased. SMBErased tells readers to erase as well; to have
Kafka itself forget sooner, shorten the retention of the topics.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.records import erasure_store
from services.records.imports.erasing import forget_imported
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBErased
from shared.schemas.identity import SmbKey

# Of each table, in one transaction: well under a second of work.
ROWS_AT_ONCE = 20_000
SWEEP_EVERY_SECONDS = 5.0
SWEPT_AT_ONCE = 500
# So many times in a row, so that a worker that ends is not kept waiting.
ROUNDS = 100
# Longer than any transaction may take.
SETTLED_AFTER = timedelta(minutes=10)


async def erase(
    transaction: Transaction,
    keys: Sequence[SmbKey],
    now: datetime,
    *,
    causation_id: str | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Outcome:
    """Erase SMBs whose heads this transaction holds, also those that it does not know yet, and tell it.

    Those that are erased already are left, so that a second call changes and tells nothing.
    """
    remaining = [key for key in keys if key not in transaction.erased]
    if not remaining:
        return Outcome()
    # By the profile is known which rows of imports were about an SMB.
    await forget_imported(transaction, remaining)
    await erasure_store.delete_profiles(transaction, remaining)
    await erasure_store.remove_some(transaction, remaining, rows_at_once)
    await erasure_store.mark_erased(transaction, remaining, now)
    told = [Announcement(key, SMBErased(smb_id=key.smb_id), causation_id) for key in remaining]
    return Outcome(announcements=told, applied=len(remaining))


async def sweep(
    database: Database, *, rows_at_once: int = ROWS_AT_ONCE, settled_after: timedelta = SETTLED_AFTER
) -> None:
    """Remove what is left of erased SMBs, or much of it; harmless when several do it at once."""
    for _ in range(ROUNDS):
        async with database.transaction() as transaction:
            keys = await erasure_store.lock_due(transaction, settled_after, SWEPT_AT_ONCE)
            if not keys:
                return
            if not await erasure_store.remove_some(transaction, keys, rows_at_once):
                await erasure_store.settle(transaction, keys, settled_after)
