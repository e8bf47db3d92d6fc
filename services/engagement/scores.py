"""Scores by any policy, computed and not stored: what the nightly recalculation would store by it."""

from collections.abc import Sequence
from datetime import date
from functools import cache

from sqlalchemy import TextClause, text

from services.engagement import scoring as score_sql
from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays, as_range
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Scoring


@cache
def _scores(scoring: Scoring) -> TextClause:
    """The same range of the index and the same expression as the recalculation."""
    return text(
        f"""
        WITH {score_sql.WANTED}
        SELECT tenant_id, smb_id, {score_sql.total()} AS score FROM ({score_sql.consecutive(scoring)}) AS each
        """,
    )


async def compute_scores(
    transaction: Transaction, keys: Sequence[SmbKey], scoring: Scoring, as_of: date
) -> dict[SmbKey, int]:
    """Score consecutive SMBs (sorted, at least one) as of a UTC date from their events; changes nothing."""
    dates = score_sql.parameters(scoring, as_of)
    rows = await transaction.execute(_scores(scoring), as_arrays(keys) | as_range(keys[0], keys[-1]) | dates)
    return {SmbKey(row.tenant_id, row.smb_id): row.score for row in rows.all()}
