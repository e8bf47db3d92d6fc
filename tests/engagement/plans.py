"""What a statement reads: the plans of what a transaction executed, as the server ran them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.database import Database, Transaction
from shared.schemas.identity import SmbKey


class Noting(Transaction):
    """A transaction that keeps what it executes."""

    __slots__ = ("executed",)

    def __init__(self, connection: AsyncConnection, locked: Sequence[SmbKey] = ()) -> None:
        super().__init__(connection, locked)
        self.executed: list[tuple[TextClause, Mapping[str, Any]]] = []

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        self.executed.append((statement, parameters or {}))
        return await super().execute(statement, parameters)


async def plans_of(
    database: Database, executed: Sequence[tuple[TextClause, Mapping[str, Any]]], tenant_id: UUID | None = None
) -> list[dict[str, Any]]:
    """How each statement was executed, planned as the connections of this database plan; for a tenant, if named."""
    connection = await database.raw_connection("smb-crm plan")
    plans = []
    try:
        await connection.execute(f"SELECT set_config('smb.tenant_id', '{tenant_id or ''}', false)")
        for number, (statement, parameters) in enumerate(executed):
            compiled = statement.compile(dialect=database.engine.dialect)
            values = ", ".join(literal(parameters[name]) for name in compiled.positiontup or ())
            await connection.execute(f"PREPARE statement_{number} AS {compiled}")
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE statement_{number} ({values})"
            plans.append(json.loads(await connection.fetchval(explain))[0]["Plan"])
    finally:
        await connection.close()
    return plans


def rows_of_events(plan: dict[str, Any]) -> float:
    """How many events were looked at, whether or not they were of use."""
    own = 0
    if "Scan" in plan["Node Type"] and plan.get("Relation Name", "").startswith("engagement_events"):
        seen = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        own = plan["Actual Loops"] * sum(plan.get(name, 0) for name in seen)
    return own + sum(rows_of_events(child) for child in plan.get("Plans", ()))


def literal(value: object) -> str:
    if isinstance(value, list):
        return "'{" + ",".join("NULL" if one is None else f'"{one}"' for one in value) + "}'"
    return f"'{value}'"
