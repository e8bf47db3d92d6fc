"""Thousands of rows at once into PostgreSQL, by COPY.

As arrays, every value of them costs the driver a microsecond; copied, a tenth of it. PostgreSQL copies into no table
that is under row-level security, so rows are copied into a table of the session's own and go on from there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from shared.runtime.database import Transaction

# From so many rows on it is worth its further round trips.
WORTH_COPYING = 200


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """A temporary table, the same for all transactions of a connection, and empty at the begin of each.

    `columns` are its columns and their types in PostgreSQL; `name` is unlike that of any other table.
    """

    name: str
    columns: Mapping[str, str]

    @property
    def definition(self) -> TextClause:
        """What makes it where it is missing."""
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.columns.items())
        return text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.name} ({columns}) ON COMMIT DELETE ROWS")

    async def copy(
        self, transaction: Transaction, rows: Iterable[Sequence[Any]], columns: Sequence[str] | None = None
    ) -> None:
        """Copy rows into it: values of these columns, else of all; for statements of the same transaction to read."""
        await transaction.execute(self.definition)
        await transaction.copy(self.name, tuple(self.columns) if columns is None else columns, rows)
