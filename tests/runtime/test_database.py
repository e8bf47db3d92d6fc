"""The connection: one role, limits on everything, and a commit that no cancellation leaves open."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.runtime.database import Database, commit
from tests.installation import eventually, free_port

SETTINGS = {
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "50s",
    "transaction_timeout": "1min",
    "jit": "off",
    "TimeZone": "UTC",
    "transaction_isolation": "read committed",
}
# A commit that takes as long as somebody holds an advisory lock.
SLOW_COMMIT = """
CREATE TABLE slow (number integer);
GRANT ALL ON slow TO smb_worker;
CREATE FUNCTION wait_at_the_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait_at_the_commit AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_at_the_commit();
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


@pytest.mark.parametrize("name", SETTINGS)
async def test_every_connection_has_its_limits(database: Database, name: str) -> None:
    async with database.begin() as connection:
        assert (await connection.execute(text(f"SHOW {name}"))).scalar_one() == SETTINGS[name]
    alone = await database.raw_connection("a test")
    assert await alone.fetchval(f"SHOW {name}") == SETTINGS[name]
    assert await alone.fetchval("SHOW application_name") == "a test"
    await alone.close()


async def test_a_worker_acts_as_its_role_and_no_more(database: Database) -> None:
    async with database.begin() as connection:
        assert (await connection.execute(text("SELECT current_user"))).scalar_one() == "smb_worker"
    for statement in ("CREATE TABLE mine (a integer)", "DROP TABLE smbs", "UPDATE tier_changes SET score = 0"):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            async with database.begin() as connection:
                await connection.execute(text(statement))


async def test_an_error_rolls_everything_back(database: Database, administrator: asyncpg.Connection) -> None:
    before = await administrator.fetchval("SELECT count(*) FROM smb_heads")

    async def insert_and_fail() -> None:
        async with database.begin() as connection:
            await connection.execute(
                text("INSERT INTO smb_heads (tenant_id, smb_id) VALUES (gen_random_uuid(), gen_random_uuid())")
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await insert_and_fail()
    assert await administrator.fetchval("SELECT count(*) FROM smb_heads") == before


async def test_a_cancelled_commit_is_waited_for(database: Database, administrator: asyncpg.Connection) -> None:
    await administrator.execute(SLOW_COMMIT)
    ended = asyncio.Event()

    async def insert() -> None:
        async with database.engine.connect() as connection:
            await connection.execute(text("INSERT INTO slow VALUES (1)"))
            try:
                await commit(connection)
            finally:
                ended.set()

    async with administrator.transaction():
        await administrator.execute("SELECT pg_advisory_xact_lock(42)")
        inserting = asyncio.create_task(insert())
        await eventually(lambda: administrator.fetchval(WAITING), "the commit is under way")
        inserting.cancel()
        # The cancellation has arrived, and the commit is still being waited for.
        assert await administrator.fetchval(WAITING) == 1
        assert not ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await inserting
    assert await administrator.fetchval("SELECT count(*) FROM slow") == 1


async def test_a_ping_tells_whether_the_database_answers(database: Database) -> None:
    await database.ping()
    nowhere = Database.create(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    with pytest.raises(OSError, match="Connect call failed"):
        await nowhere.ping()
    await nowhere.close()
