"""Compares data quality with the rule, and looks for what should be gone of erased SMBs."""

from collections.abc import Sequence

from services.records import erasure_store, profile_store, rules
from shared.runtime.database import Transaction
from shared.runtime.differences import Difference, compare
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

DATA_QUALITY = "data_quality"
ERASURE = "erasure"
KINDS = (DATA_QUALITY, ERASURE)


async def differences(transaction: Transaction, keys: Sequence[SmbKey], policy: Policy) -> list[Difference]:
    """Compare the profiles of all SMBs, soft-deleted ones too, and find what is left of those that were erased.

    What the records worker has still to sweep up is no difference.
    """
    found: list[Difference] = []
    for smb, profile in (await profile_store.read_profiles(transaction, keys)).items():
        score = rules.data_quality(profile, policy.data_quality)
        found += compare(smb, DATA_QUALITY, {"data_quality_score": (profile.data_quality_score, score)})
    erased = await erasure_store.find_settled(transaction, keys)
    if erased:
        for smb, table, rows in await erasure_store.find_left(transaction, erased):
            found += compare(smb, ERASURE, {f"rows of an erased SMB in {table}": (rows, 0)})
    return found
