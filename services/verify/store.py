"""Every SQL statement of verify that is no service's own."""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from shared.runtime.database import Database

NOTE = text(
    """
    INSERT INTO verifications (started_at, finished_at, smbs_checked, mismatches, mismatches_by_kind)
    VALUES (:started_at, :finished_at, :smbs_checked, :mismatches, CAST(:mismatches_by_kind AS jsonb))
    """,
)


async def note(
    database: Database,
    *,
    started_at: datetime,
    finished_at: datetime,
    smbs_checked: int,
    mismatches_by_kind: Mapping[str, int],
) -> None:
    """Keep what a verification of everything has found."""
    async with database.transaction() as transaction:
        await transaction.execute(
            NOTE,
            {
                "started_at": started_at,
                "finished_at": finished_at,
                "smbs_checked": smbs_checked,
                "mismatches": sum(mismatches_by_kind.values()),
                "mismatches_by_kind": json.dumps(mismatches_by_kind),
            },
        )
