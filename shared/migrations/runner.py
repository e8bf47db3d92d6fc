"""Brings a database to the newest schema: one migration at a time, whoever else tries at the same moment."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from shared.migrations.errors import MigrationError
from shared.migrations.roles import OWNER, ensure_roles
from shared.migrations.version import database_revision, newest_revision

# Any number that nothing else locks in this database: the letters "smbm".
LOCK = text("SELECT pg_try_advisory_lock(1936548461)")
# Asked for again and again, not waited for: a waiting statement would hold up CREATE INDEX CONCURRENTLY.
LOCK_POLL_SECONDS = 0.1
CONNECT_SECONDS = 10.0
# Alembic keeps what it works on in global variables of the process.
ALEMBIC = asyncio.Lock()
Report = Callable[[str], None]


async def migrate(database_url: str, report: Report = lambda _: None) -> list[str]:
    """Make the missing roles and bring the database to the newest schema; each step is a line to `report`.

    `database_url` is what asyncpg takes: postgresql://user:password@host:port/name. Returns the revisions that were
    applied: none when it was called before, or when another process that migrates now did it first. A database that
    is newer than this program is left as it is. Raises MigrationError.
    """
    applied: list[str] = []
    trouble = "the database cannot be reached"

    async def connect() -> asyncpg.Connection:
        nonlocal trouble
        connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS)
        trouble = "the database refused the migration"
        return connection

    def tell(revision: str) -> None:
        applied.append(revision)
        report(f"applied migration {revision}")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await wait_for_our_turn(connection, report)
            await ensure_roles(connection)
            await upgrade(connection, tell, report)
    except (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise MigrationError(f"{trouble}: {first_line(error)}") from error
    finally:
        await engine.dispose()
    return applied


async def wait_for_our_turn(connection: AsyncConnection, report: Report) -> None:
    """Hold the lock that lets one process migrate; it is given back when the connection closes."""

    async def try_to_lock() -> bool:
        locked: bool = (await connection.execute(LOCK)).scalar_one()
        await connection.commit()
        return locked

    if not await try_to_lock():
        report("waiting for another process that migrates this database")
        await AsyncRetrying(retry=retry_if_result(lambda locked: not locked), wait=wait_fixed(LOCK_POLL_SECONDS))(
            try_to_lock
        )


async def upgrade(connection: AsyncConnection, tell: Callable[[str], None], report: Report) -> None:
    """Run the missing migrations as the owner role, each in a transaction of its own."""
    # Alembic's own table is the owner's too, which the migrations grant rights on.
    await connection.execute(text(f"SET ROLE {OWNER}"))
    revision = await database_revision(connection)
    await connection.commit()
    if revision is not None and revision > newest_revision():
        report(f"the database has schema {revision}, newer than this program's {newest_revision()}: nothing to do")
        return
    async with ALEMBIC:
        await connection.run_sync(run_alembic, tell)
    report(f"the database has the newest schema, {newest_revision()}")


def run_alembic(connection: Connection, tell: Callable[[str], None]) -> None:
    """Let Alembic bring this connection's database to the newest revision; `env.py` takes it from here."""
    config = Config()
    # A per cent sign would begin an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(connection=connection, tell=tell)
    command.upgrade(config, "head")


def first_line(error: BaseException) -> str:
    """The first line of what went wrong, in the words of the database where they are its own."""
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), type(cause).__name__)
