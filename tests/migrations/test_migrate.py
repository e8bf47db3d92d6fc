"""`migrate`: from nothing to the newest schema, whoever else does it at the same moment."""

import asyncio
import re
import sys

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import PostgresServer, Stack
from shared.migrations import MigrationError, newest_revision, schema_is_current
from shared.migrations.runner import migrate
from shared.migrations.version import known_revisions
from tests.conftest import AdministratorOf, with_database

MANY_SMBS = """
WITH new AS (
    SELECT ('00000000-0000-0000-0000-00000000000' || number % 3)::uuid AS tenant_id, gen_random_uuid() AS id, number
    FROM generate_series(1, 6000) AS number
), heads AS (INSERT INTO smb_heads (tenant_id, smb_id) SELECT tenant_id, id FROM new)
INSERT INTO smbs (tenant_id, id, slug, business_name, engagement_tier, campaign_status, current_campaign_id,
    manifest_destiny_day, manifest_destiny_start_date, next_scheduled_send, created_at, updated_at)
SELECT tenant_id, id, 'smb-' || number, 'A business', 1 + number % 4, 'running', id, 1 + number % 90, current_date,
    now(), now(), now()
FROM new
"""
TENANT_ONE = "SELECT * FROM smbs WHERE tenant_id = '00000000-0000-0000-0000-000000000001' AND deleted_at IS NULL"
MIGRATE = (
    "import asyncio, sys; from shared.migrations.runner import migrate; print(len(asyncio.run(migrate(sys.argv[1]))))"
)


async def migrate_in_a_process(url: str) -> int:
    """Migrate as one pod of several would, and return how many migrations that process applied."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return int(output)


async def is_current(url: str) -> bool:
    """Ask as a worker does."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            return await schema_is_current(connection)
    finally:
        await engine.dispose()


async def test_the_first_time_applies_every_migration_and_the_second_time_none(unmigrated_url: str) -> None:
    told: list[str] = []

    assert await migrate(unmigrated_url, told.append) == known_revisions()
    assert told[-1] == f"the database has the newest schema, {newest_revision()}"
    assert await migrate(unmigrated_url) == []


async def test_of_four_processes_at_once_one_migrates_and_all_succeed(fresh_cluster: PostgresServer) -> None:
    applied = await asyncio.gather(*(migrate_in_a_process(fresh_cluster.url()) for _ in range(4)))

    assert sorted(applied) == [0, 0, 0, len(known_revisions())]


async def test_databases_of_one_cluster_can_be_migrated_for_the_first_time_at_once(
    fresh_cluster: PostgresServer,
) -> None:
    names = [f"tenant_{number}" for number in range(6)]
    async with AdministratorOf(fresh_cluster.url()) as administrator:
        for name in names:
            await administrator.execute(f"CREATE DATABASE {name}")

    applied = await asyncio.gather(*(migrate(fresh_cluster.url(name)) for name in names))

    assert applied == [known_revisions()] * len(names)


async def test_a_user_who_may_create_roles_and_owns_the_database_needs_no_superuser(
    fresh_cluster: PostgresServer,
) -> None:
    async with AdministratorOf(fresh_cluster.url()) as administrator:
        await administrator.execute("CREATE ROLE \"deploy-bot\" LOGIN CREATEROLE PASSWORD 'secret'")
        await administrator.execute('CREATE DATABASE theirs OWNER "deploy-bot"')
    url = f"postgresql://deploy-bot:secret@127.0.0.1:{fresh_cluster.port}/theirs"

    assert await migrate(url) == known_revisions()
    assert await migrate(url) == []


async def test_a_user_who_may_not_create_the_roles_is_told_what_an_administrator_has_to_run(
    fresh_cluster: PostgresServer,
) -> None:
    async with AdministratorOf(fresh_cluster.url()) as administrator:
        await administrator.execute("CREATE ROLE visitor LOGIN PASSWORD 'secret'")
    url = f"postgresql://visitor:secret@127.0.0.1:{fresh_cluster.port}/smb_crm"

    with pytest.raises(MigrationError, match=r"visitor .* administrator has to: CREATE ROLE smb_owner"):
        await migrate(url)


async def test_a_user_who_may_become_the_owner_but_not_grant_the_schema_is_told_so(
    fresh_cluster: PostgresServer,
) -> None:
    await migrate(fresh_cluster.url("postgres"))
    async with AdministratorOf(fresh_cluster.url()) as administrator:
        await administrator.execute("CREATE ROLE visitor LOGIN PASSWORD 'secret'")
        await administrator.execute("GRANT smb_owner, smb_worker, smb_api, smb_reader TO visitor")
    url = f"postgresql://visitor:secret@127.0.0.1:{fresh_cluster.port}/smb_crm"

    with pytest.raises(MigrationError, match="GRANT CREATE, USAGE ON SCHEMA public TO smb_owner"):
        await migrate(url)


async def test_a_database_that_is_newer_than_the_program_is_left_alone(unmigrated_url: str) -> None:
    await migrate(unmigrated_url)
    async with AdministratorOf(unmigrated_url) as administrator:
        await administrator.execute("UPDATE alembic_version SET version_num = '9999'")
    told: list[str] = []

    assert await migrate(unmigrated_url, told.append) == []
    assert told == [f"the database has schema 9999, newer than this program's {newest_revision()}: nothing to do"]


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/smb_crm", "postgresql://127.0.0.1:not-a-port/smb_crm"])
async def test_a_database_that_cannot_be_reached_is_one_clear_line(url: str) -> None:
    with pytest.raises(MigrationError, match=r"^the database cannot be reached: [^\n]+$"):
        await migrate(url)


async def test_a_wrong_password_is_one_clear_line(stack: Stack) -> None:
    with pytest.raises(MigrationError, match=r"^the database cannot be reached: [^\n]*password[^\n]*$"):
        await migrate(stack.database_url.replace(stack.postgres.password, "wrong"))


async def test_the_schema_is_current_only_after_the_newest_migration(unmigrated_url: str) -> None:
    assert not await is_current(unmigrated_url)
    await migrate(unmigrated_url)
    assert await is_current(unmigrated_url)
    async with AdministratorOf(unmigrated_url) as administrator:
        await administrator.execute("UPDATE alembic_version SET version_num = '0001'")
    assert not await is_current(unmigrated_url)


async def test_a_connection_that_holds_the_lock_keeps_others_waiting(unmigrated_url: str) -> None:
    told = asyncio.Queue[str]()
    holder = await asyncpg.connect(unmigrated_url)
    assert await holder.fetchval("SELECT pg_try_advisory_lock(1936548461)")

    waiting = asyncio.create_task(migrate(unmigrated_url, told.put_nowait))
    assert await told.get() == "waiting for another process that migrates this database"
    await holder.close()

    assert await waiting == known_revisions()


async def test_the_database_may_have_any_name(stack: Stack) -> None:
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute('CREATE DATABASE "50% off"')
        try:
            assert await migrate(with_database(stack.database_url, "50%25%20off")) == known_revisions()
        finally:
            await administrator.execute('DROP DATABASE "50% off" WITH (FORCE)')


@pytest.fixture(scope="module")
async def many_smbs(database_url: str) -> str:
    """The URL of a database with so many SMBs that reading all of them is dear."""
    async with AdministratorOf(database_url) as administrator:
        await administrator.execute(MANY_SMBS)
        await administrator.execute("ANALYZE smbs")
    return database_url


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("engagement_tier = 2", "smbs_tier"),
        ("campaign_status = 'paused'", "smbs_campaign"),
        ("campaign_status = 'running' AND manifest_destiny_day = 17", "smbs_campaign"),
    ],
    ids=["tier", "campaign status", "campaign day"],
)
async def test_smbs_are_found_by_an_index(many_smbs: str, asked: str, index: str) -> None:
    async with AdministratorOf(many_smbs) as administrator:
        rows = await administrator.fetch(f"EXPLAIN {TENANT_ONE} AND {asked} ORDER BY id LIMIT 50")
    plan = "\n".join(row[0] for row in rows)
    assert re.search(rf"Scan (using|on) {index}\b", plan), plan
    (condition,) = re.findall("Index Cond: (.*)", plan)
    assert all(column in condition for column in re.findall(r"(\w+) =", asked)), plan
