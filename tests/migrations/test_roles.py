"""What each database role may do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

OWNED = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"


@asynccontextmanager
async def acting_as(role: str, url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the rights of one role."""
    connection = await asyncpg.connect(url, server_settings={"role": role})
    try:
        yield connection
    finally:
        await connection.close()


async def test_everything_belongs_to_the_owner_role(database_url: str) -> None:
    async with acting_as("smb_owner", database_url) as owner:
        everything = await owner.fetch(OWNED)
        others = await owner.fetch(f"{OWNED} AND relowner <> 'smb_owner'::regrole")

    assert everything
    assert others == []


async def test_the_reader_sees_the_overview_and_nothing_else(database_url: str) -> None:
    async with acting_as("smb_reader", database_url) as reader:
        names = [row["relname"] for row in await reader.fetch(OWNED)]
        readable = [name for name in names if await reader.fetchval("SELECT has_table_privilege($1, 'SELECT')", name)]

        assert readable == ["smb_overview"]
        assert await reader.fetch("SELECT * FROM smb_overview") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch("SELECT * FROM smbs")


async def test_the_worker_changes_rows_but_no_tables(database_url: str) -> None:
    async with acting_as("smb_worker", database_url) as worker:
        assert await worker.fetchval("SELECT epoch FROM installation") == 1
        for forbidden in (
            "DROP TABLE smbs",
            "ALTER TABLE smbs ADD COLUMN note text",
            "TRUNCATE engagement_events",
            "CREATE TABLE notes (note text)",
            "UPDATE alembic_version SET version_num = '0001'",
            "DELETE FROM installation",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await worker.execute(forbidden)


async def test_what_has_happened_is_never_rewritten_by_a_worker(database_url: str) -> None:
    async with acting_as("smb_worker", database_url) as worker:
        for history in ("tier_changes", "campaign_transitions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await worker.execute(f"UPDATE {history} SET reason = 'other'")


async def test_nobody_can_log_in_as_a_role(database_url: str) -> None:
    async with acting_as("smb_owner", database_url) as owner:
        logins = await owner.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'smb\\_%' AND rolcanlogin")

    assert [row["rolname"] for row in logins if row["rolname"] != "smb_crm"] == []
