"""The refused rows of an import as CSV, to be opened in a spreadsheet, put right and imported again."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from uuid import UUID

from sqlalchemy import text

from shared.runtime.database import Database, TenantDatabase

HEADER = ("line", "column", "value", "reason")
AT_ONCE = 1000
# A cell that begins so is run by a spreadsheet instead of shown.
RUNS = ("=", "+", "-", "@", "\t", "\r")

READ_REFUSALS = text(
    """
    SELECT line, field, value, reason FROM import_refusals
    WHERE tenant_id = :tenant_id AND job_id = :job_id AND line > :after ORDER BY line LIMIT :at_once
    """,
)


async def refusals_as_csv(database: Database | TenantDatabase, tenant_id: UUID, job_id: UUID) -> AsyncIterator[str]:
    """Give the header, then the refused rows so far in the order of lines, piece by piece."""
    yield _written([HEADER])
    after = 0
    while True:
        parameters = {"tenant_id": tenant_id, "job_id": job_id, "after": after, "at_once": AT_ONCE}
        async with database.transaction() as transaction:
            rows = (await transaction.execute(READ_REFUSALS, parameters)).all()
        if not rows:
            return
        after = rows[-1].line
        yield _written([(str(row.line), shown(row.field), shown(row.value), shown(row.reason)) for row in rows])


def shown(cell: str | None) -> str:
    """A cell as text, whatever a spreadsheet would make of it: behind an apostrophe where it would run it."""
    if cell is None:
        return ""
    return f"'{cell}" if cell.startswith(RUNS) else cell


def _written(rows: list[tuple[str, ...]]) -> str:
    text_ = StringIO()
    csv.writer(text_).writerows(rows)
    return text_.getvalue()
