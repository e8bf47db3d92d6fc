"""Row-level security: through the API's role no other tenant's row is there, in any table, whatever is asked.

The questions are asked without any condition on the tenant: what keeps tenants apart is the database alone.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.runtime.database import Database
from shared.runtime.errors import sqlstate
from tests.api.example_rows import EXAMPLES, fill
from tests.installation import Installation

# Tables that know no tenant. The API may read how old the schema is and which epoch it is, and nothing of the others.
WITHOUT_TENANT = {"alembic_version", "installation", "consumer_progress", "job_runs", "job_shards", "verifications"}
READABLE = {"alembic_version", "installation"}
NO_RIGHT = "42501"


@dataclass
class Neighbours:
    """A database with rows of two tenants in every table, seen by the API for one of them."""

    database: Database
    ours: UUID
    theirs: UUID

    async def ask(self, statement: str, tenant_id: UUID | None = None) -> list[tuple[object, ...]]:
        """Run a statement as the API does for a tenant (ours), in a transaction that is rolled back."""
        async with self.database.of(tenant_id or self.ours).connect() as connection:
            answer = await connection.execute(text(statement))
            return [tuple(row) for row in answer.all()] if answer.returns_rows else [(answer.rowcount,)]

    async def is_allowed(self, statement: str) -> bool:
        """Whether the API has the right to run a statement at all."""
        try:
            await self.ask(statement)
        except DBAPIError as error:
            if sqlstate(error) == NO_RIGHT and "permission denied" in str(error):
                return False
            raise
        return True


@pytest.fixture(scope="module")
async def neighbours(installation: Installation) -> AsyncIterator[Neighbours]:
    """Two tenants, each with a row in every table that has a tenant."""
    ours, theirs = uuid4(), uuid4()
    for tenant_id in (ours, theirs):
        await fill(installation, tenant_id)
    database = Database.create(installation.settings.database_url.get_secret_value(), role="smb_api")
    yield Neighbours(database, ours, theirs)
    await database.close()


@pytest.fixture(scope="module")
async def tables(installation: Installation) -> set[str]:
    """All tables; of a partitioned one only the whole."""
    rows = await installation.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND NOT relispartition"
    )
    return {row["relname"] for row in rows}


async def test_every_table_with_a_tenant_forces_row_level_security(
    installation: Installation, tables: set[str]
) -> None:
    rows = await installation.fetch(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS forced,"
        " EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id') AS has_tenant"
        " FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows if row["has_tenant"] and not row["forced"]} == set()
    assert {row["relname"] for row in rows if not row["has_tenant"]} == WITHOUT_TENANT
    assert tables - WITHOUT_TENANT == set(EXAMPLES), "each table with a tenant needs an example row"


async def test_nothing_of_another_tenant_is_seen_changed_or_removed(neighbours: Neighbours) -> None:
    for table in EXAMPLES:
        assert {row[0] for row in await neighbours.ask(f"SELECT tenant_id FROM {table}")} <= {neighbours.ours}, table
        assert await neighbours.ask(f"SELECT count(*) FROM {table}", uuid4()) == [(0,)], table
        for statement in (
            f"UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = '{neighbours.theirs}'",
            f"DELETE FROM {table} WHERE tenant_id = '{neighbours.theirs}'",
        ):
            if await neighbours.is_allowed(statement):
                assert await neighbours.ask(statement) == [(0,)], statement


async def test_the_api_sees_the_rows_of_the_tenant_that_it_names(neighbours: Neighbours) -> None:
    seen = [table for table in EXAMPLES if await neighbours.ask(f"SELECT count(*) FROM {table}") != [(0,)]]
    assert set(seen) == set(EXAMPLES)


async def test_views_show_the_rows_of_the_tenant_or_nothing_at_all(
    installation: Installation, neighbours: Neighbours
) -> None:
    rows = await installation.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace"
    )
    views = {row["relname"] for row in rows}
    assert views == {"smb_overview", "own_events"}
    assert {row[0] for row in await neighbours.ask("SELECT tenant_id FROM own_events")} == {neighbours.ours}
    assert not await neighbours.is_allowed("SELECT FROM smb_overview")


async def test_no_row_is_written_for_another_tenant(neighbours: Neighbours) -> None:
    for table, (columns, _) in EXAMPLES.items():
        own = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} LIMIT 0"
        theirs = ", ".join(f"'{neighbours.theirs}'" if name == "tenant_id" else name for name in columns.split(", "))
        if not await neighbours.is_allowed(own):
            continue
        with pytest.raises(DBAPIError, match="row-level security"):
            await neighbours.ask(f"INSERT INTO {table} ({columns}) SELECT {theirs} FROM {table}")


async def test_no_row_is_given_away(neighbours: Neighbours) -> None:
    for table in ("smbs", "communities", "smb_heads", "campaigns"):
        with pytest.raises(DBAPIError):
            await neighbours.ask(f"UPDATE {table} SET tenant_id = '{neighbours.theirs}'")


async def test_unique_keys_tell_nothing_of_another_tenant(installation: Installation) -> None:
    """The same ids, slugs, external ids and keys exist for both tenants: nobody's row is in another's way."""
    unique = await installation.fetch(
        "SELECT indrelid::regclass::text AS relation, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
        " WHERE indisunique AND indrelid::regclass::text = ANY($1)"
        " AND pg_get_indexdef(indexrelid) NOT LIKE '%(tenant_id%'",
        list(EXAMPLES),
    )
    # Numbers that the database gives out itself, and places in Kafka, which no request chooses.
    assert {row["relation"] for row in unique} == {"outgoing_messages", "outbox", "dead_letters", "repeated_inputs"}


async def test_a_forgotten_tenant_sees_nothing(neighbours: Neighbours) -> None:
    async with neighbours.database.connect() as connection:
        for table in EXAMPLES:
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0, table
    # A connection that has served a tenant before is as blind as a new one.
    await neighbours.ask("SELECT 1")
    async with neighbours.database.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM smbs"))).scalar_one() == 0


async def test_tables_without_a_tenant_are_closed(neighbours: Neighbours) -> None:
    for table in WITHOUT_TENANT - READABLE:
        with pytest.raises(DBAPIError, match="permission denied"):
            await neighbours.ask(f"SELECT count(*) FROM {table}")
    for table in READABLE:
        await neighbours.ask(f"SELECT count(*) FROM {table}")
        with pytest.raises(DBAPIError, match="permission denied"):
            await neighbours.ask(f"DELETE FROM {table}")


async def test_the_view_for_reports_is_closed_to_the_api(neighbours: Neighbours) -> None:
    """It reads as its owner, who sees all tenants."""
    with pytest.raises(DBAPIError, match="permission denied"):
        await neighbours.ask("SELECT count(*) FROM smb_overview")


async def test_a_slug_of_another_tenant_is_free(neighbours: Neighbours) -> None:
    columns = EXAMPLES["communities"][0]
    changed = ", ".join("gen_random_uuid()" if name == "id" else name for name in columns.split(", "))
    with pytest.raises(IntegrityError):
        await neighbours.ask(f"INSERT INTO communities ({columns}) SELECT {changed} FROM communities")
