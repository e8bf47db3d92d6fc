"""The connection to PostgreSQL and the transaction that handlers see."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

import asyncpg
from sqlalchemy import Connection, CursorResult, TextClause, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.schemas.identity import SmbKey

CONNECT = timedelta(seconds=10)
# What a frozen process may hold at the longest: its locks are freed after this, and it starts again when it wakes.
IDLE_IN_TRANSACTION = timedelta(seconds=30)
# The longest statement and, where the server knows it (17), transaction; a batch that takes longer is halved.
STATEMENT = timedelta(seconds=50)
TRANSACTION = timedelta(seconds=60)
# The client gives up on a statement a little later, for a server that answers nothing at all.
COMMAND = timedelta(seconds=75)

# Statements take their SMBs as arrays, of which the planner knows nothing good: planned for a handful, they go by the
# index, which is right for thousands too; planned anew for each array, they would read whole tables now and then.
SESSION = {"plan_cache_mode": "force_generic_plan", "random_page_cost": "1.1"}

_LIMITS = {
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
    "statement_timeout": STATEMENT,
    "transaction_timeout": TRANSACTION,
}
# Only those settings that the server knows are set: PostgreSQL 15 has no transaction_timeout.
TIMEOUTS = "; ".join(
    f"SELECT set_config(name, '{int(limit.total_seconds())}s', false) FROM pg_settings WHERE name = '{name}'"  # noqa: S608
    for name, limit in _LIMITS.items()
)


# The execution option of a connection that belongs to one tenant.
TENANT = "smb_tenant_id"


class Transaction:
    """An open database transaction, as a handler sees it: it reads and writes, and can't commit, publish or wait.

    `locked` are the SMBs whose heads this transaction holds, in order; `erased` those of them that were erased; `fresh`
    those whose heads it has inserted itself, of which nothing was ever stored.
    """

    __slots__ = ("_connection", "erased", "fresh", "locked")

    def __init__(
        self,
        connection: AsyncConnection,
        locked: Sequence[SmbKey] = (),
        erased: frozenset[SmbKey] = frozenset(),
        fresh: frozenset[SmbKey] = frozenset(),
    ) -> None:
        self._connection = connection
        self.locked = locked
        self.erased = erased
        self.fresh = fresh

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Run one statement inside the transaction."""
        return await self._connection.execute(statement, parameters)

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Copy rows into a table inside the transaction; many, as fast as PostgreSQL takes them."""
        connection = (await self._connection.get_raw_connection()).driver_connection
        if not isinstance(connection, asyncpg.Connection):
            raise TypeError(type(connection))
        await connection.copy_records_to_table(table, columns=columns, records=rows)


class Database:
    """A pool of connections, each acting as one database role; `connections_made` counts them, also the lost ones."""

    def __init__(self, engine: AsyncEngine, connect: Callable[[str], Awaitable[asyncpg.Connection]]) -> None:
        self.engine = engine
        self._connect = connect
        self.connections_made = 0

    @classmethod
    def create(cls, url: str, *, role: str = "smb_worker", pool_size: int = 6, application: str = "smb-crm") -> Self:
        """Prepare a pool for `url` (postgresql://…, with whatever parameters asyncpg takes); nothing is connected."""

        async def connect(name: str = application) -> asyncpg.Connection:
            connection = await asyncpg.connect(
                url,
                timeout=CONNECT.total_seconds(),
                command_timeout=COMMAND.total_seconds(),
                server_settings={"role": role, "jit": "off", "timezone": "UTC", "application_name": name, **SESSION},
            )
            await connection.execute(TIMEOUTS)
            return connection

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            hide_parameters=True,  # they are people's names and addresses, and errors are logged
        )
        database = cls(engine, connect)
        event.listen(engine.sync_engine, "connect", database.count_connection)
        event.listen(engine.sync_engine, "begin", _name_tenant)
        return database

    def of(self, tenant_id: UUID) -> "TenantDatabase":
        """This database, as far as it is one tenant's: every transaction names the tenant before anything else."""
        return TenantDatabase(self, tenant_id)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose transactions the caller ends."""
        async with self.engine.connect() as connection:
            yield connection

    def count_connection(self, *_: object) -> None:
        """Note that the pool made a connection: nobody knows yet whether it leads to the same database as before."""
        self.connections_made += 1

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back on any error, never left half-way by a cancellation."""
        async with self.engine.connect() as connection:
            yield connection
            await commit(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """The same for commands that only read or that change no SMB."""
        async with self.begin() as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def single_statements(self) -> AsyncIterator[Transaction]:
        """Every statement is a transaction of its own, committed when it returns: one round trip instead of three."""
        async with self.engine.connect() as connection:
            yield Transaction(await connection.execution_options(isolation_level="AUTOCOMMIT"))

    async def raw_connection(self, application: str) -> asyncpg.Connection:
        """A connection of its own outside the pool, for a session lock or for notifications; the caller ends it."""
        return await self._connect(application)

    async def ping(self) -> None:
        """Raise when the database does not answer within 2 seconds."""
        async with asyncio.timeout(2), self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


@dataclass(frozen=True, slots=True)
class TenantDatabase:
    """A database for one tenant's requests: under the role `smb_api`, no other tenant's row is there."""

    database: Database
    tenant_id: UUID

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose transactions the caller ends; each of them, also after a rollback, is the tenant's."""
        async with self.database.engine.connect() as connection:
            yield await connection.execution_options(**{TENANT: self.tenant_id})

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """One transaction for what only reads or changes no SMB."""
        async with self.connect() as connection:
            yield Transaction(connection)
            await commit(connection)


def _name_tenant(connection: Connection) -> None:
    """Tell PostgreSQL whose transaction begins. A name ends with its transaction, so none is left in the pool."""
    tenant_id = connection.get_execution_options().get(TENANT)
    if tenant_id is not None:
        connection.exec_driver_sql(f"SELECT set_config('smb.tenant_id', '{UUID(str(tenant_id))}', true)")


async def commit(connection: AsyncConnection) -> None:
    """Commit, and stay until the answer is there: a cancelled COMMIT may have committed."""
    committing = asyncio.ensure_future(connection.commit())
    try:
        await asyncio.shield(committing)
    except asyncio.CancelledError:
        await asyncio.wait([committing])
        raise
