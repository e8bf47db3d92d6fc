"""SMBs and years of history, made inside PostgreSQL, with the tables that are compared with ours.

Indexes are built after loading, with the free space that a long life of random insertions leaves in them; so a
database of thirty million events takes minutes and behaves as one that grew.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from benchmarks.traffic import TENANTS
from services.engagement import store
from shared.runtime.database import Database
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

HISTORY_DAYS = 180
# What a B-tree keeps free when keys come in random order.
INDEX_FILL_PERCENT = 70
SCORED_AT_ONCE = 20_000

IDENTITY = "CAST(md5('tenant' || (n % {tenants})) AS uuid), CAST(md5('smb' || n) AS uuid)"
HEADS = f"""
INSERT INTO smb_heads (tenant_id, smb_id, last_now)
SELECT {IDENTITY}, now() - interval '2 days' FROM generate_series($1::bigint, $2::bigint) AS n
"""  # noqa: S608  constants
PROFILES = f"""
INSERT INTO smbs (tenant_id, id, slug, external_id, business_name, primary_email, primary_phone, industry_category,
    business_description, business_context, services_activated, engagement_tier, created_at, updated_at)
SELECT {IDENTITY}, 'business-' || n, 'crm-' || n, 'Business Number ' || n, 'owner' || n || '@example.org',
    '+1212' || lpad(CAST(n AS text), 7, '0'), 'restaurants',
    repeat('Family business in the third generation, open daily. ', 4), '{{{{"source": "import"}}}}', '["website"]',
    {{tier}}, {{changed_at}}, {{changed_at}}
FROM generate_series($1::bigint, $2::bigint) AS n
"""  # noqa: S608  constants
# Everybody as just imported, or in tiers of 5, 15, 30 and 50 % and last changed within a year, both by their numbers.
ALIKE = {"tier": "4", "changed_at": "now()"}
DIVERSE = {
    "tier": "CASE WHEN n * 7919 % 100 < 5 THEN 1 WHEN n * 7919 % 100 < 20 THEN 2 WHEN n * 7919 % 100 < 50 THEN 3 "
    "ELSE 4 END",
    "changed_at": "now() - make_interval(secs => n * 104729 % 31536000)",
}
# Events lie in the table in the order in which they arrived, as they do in one that grew.
HISTORY = """
INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
    partition_number, kind, source, event_id, reference, service, url)
SELECT CAST(md5('tenant' || (smb % {tenants})) AS uuid), CAST(md5('smb' || smb) AS uuid), gen_random_uuid(),
    happened, happened, e, smb % 24, CAST(kind AS engagement_kind), '/modules/email', '01J9' || e || '-event',
    'm-' || e, CASE WHEN kind LIKE 'approval%' THEN 'newsletter' END,
    CASE WHEN kind = 'email_clicked' THEN 'https://example.org/offers/' || e END
FROM (
    SELECT e, $1 + floor(random() * $2)::bigint AS smb,
        now() - make_interval(secs => $4 * 86400.0 * (1 - e / $3::float8)) AS happened,
        CASE WHEN part < 35 THEN 'email_opened' WHEN part < 45 THEN 'rvm_delivered' WHEN part < 60 THEN 'email_clicked'
            WHEN part < 65 THEN 'callback_received' WHEN part < 85 THEN 'content_viewed'
            WHEN part < 95 THEN 'content_completed' WHEN part < 99 THEN 'approval_approved'
            ELSE 'approval_rejected' END AS kind
    FROM (SELECT e, random() * 100 AS part FROM generate_series(1, $3::bigint) AS e OFFSET 0) AS drawn
) AS made
"""
INDEXES = """
SELECT index.relname AS name, constraint_.conname AS key, pg_get_constraintdef(constraint_.oid) AS key_definition,
    replace(pg_get_indexdef(index.oid), ' ON ONLY ', ' ON ') AS definition
FROM pg_index AS described JOIN pg_class AS index ON index.oid = described.indexrelid
LEFT JOIN pg_constraint AS constraint_ ON constraint_.conindid = index.oid AND constraint_.contype = 'p'
WHERE described.indrelid = CAST($1 AS regclass) ORDER BY index.relname
"""
PARTITIONS = """
SELECT part.relname AS name, pg_get_expr(part.relpartbound, part.oid) AS bound, part.reloptions AS options
FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = CAST('engagement_events' AS regclass)
ORDER BY part.relname
"""


async def load_smbs(
    connection: asyncpg.Connection, first: int, last: int, *, tenants: int = TENANTS, diverse: bool = False
) -> None:
    """Create the SMBs with these numbers, with heads and wide profiles, of so many tenants by turns."""
    await connection.execute(HEADS.format(tenants=tenants), first, last)
    await connection.execute(PROFILES.format(tenants=tenants, **(DIVERSE if diverse else ALIKE)), first, last)


async def load_history(connection: asyncpg.Connection, smbs: int, events: int, *, tenants: int = TENANTS) -> None:
    """Give SMBs 1 to `smbs` a history of 180 days, in an empty table whose indexes are built afterwards."""
    await connection.execute("SET maintenance_work_mem = '512MB'")
    indexes = await connection.fetch(INDEXES, "engagement_events")
    for index in indexes:
        drop = f"ALTER TABLE engagement_events DROP CONSTRAINT {index['key']}" if index["key"] else None
        await connection.execute(drop or f"DROP INDEX {index['name']}")
    await add_events(connection, first_smb=1, smbs=smbs, events=events, days=HISTORY_DAYS, tenants=tenants)
    for index in indexes:
        fill = f"WITH (fillfactor = {INDEX_FILL_PERCENT})"
        if index["key"]:
            await connection.execute(
                f"ALTER TABLE engagement_events ADD CONSTRAINT {index['key']} {index['key_definition']} {fill}"
            )
        else:
            await connection.execute(f"{index['definition']} {fill}")


async def add_events(  # noqa: PLR0913  whose, how many, and since when
    connection: asyncpg.Connection, *, first_smb: int, smbs: int, events: int, days: float, tenants: int = TENANTS
) -> None:
    """Add events of the last `days` days, spread evenly over time and at random over SMBs."""
    await connection.execute(HISTORY.format(tenants=tenants), first_smb, smbs, events, days)


async def copy_tables(connection: asyncpg.Connection) -> None:
    """Make `copied_events`, with the columns, checks, partitions, indexes and rows of ours, and `copied_smbs`."""
    await connection.execute(
        "CREATE TABLE copied_events (LIKE engagement_events INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (smb_id)"
    )
    for part in await connection.fetch(PARTITIONS):
        name = part["name"].replace("engagement_events", "copied_events")
        options = f"WITH ({', '.join(part['options'])})" if part["options"] else ""
        await connection.execute(f"CREATE TABLE {name} PARTITION OF copied_events {part['bound']} {options}")
    await connection.execute("INSERT INTO copied_events SELECT * FROM engagement_events")
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for index in await connection.fetch(INDEXES, "engagement_events"):
        if index["key"]:
            fill = f"WITH (fillfactor = {INDEX_FILL_PERCENT})"
            await connection.execute(f"ALTER TABLE copied_events ADD {index['key_definition']} {fill}")
        else:
            await connection.execute(index["definition"].replace("engagement_events", "copied_events"))
    await copy_smbs(connection)


async def copy_smbs(connection: asyncpg.Connection) -> None:
    """Make `copied_smbs`: the wide rows with their indexes, and a score in the row as a plain design has it.

    Without our CHECK constraints (NOT NULL stays): an UPDATE evaluates all of them for every row, some by functions in
    SQL, and would not be bare.
    """
    await connection.execute("CREATE TABLE copied_smbs (LIKE smbs INCLUDING ALL EXCLUDING CONSTRAINTS)")
    await connection.execute("ALTER TABLE copied_smbs ADD engagement_score smallint NOT NULL DEFAULT 0")
    await connection.execute("INSERT INTO copied_smbs SELECT * FROM smbs")


async def score_all(connection: asyncpg.Connection, database: Database, *, days_ago: int = 0) -> None:
    """Score everybody as of some days ago with the service's own statement, and count it as announced."""
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    found = await connection.fetch("SELECT tenant_id, smb_id FROM smb_heads ORDER BY tenant_id, smb_id")
    keys = [SmbKey(*row) for row in found]
    parts = [keys[start : start + SCORED_AT_ONCE] for start in range(0, len(keys), SCORED_AT_ONCE)]
    scoring = Policy.default().score

    async def score(mine: list[list[SmbKey]]) -> None:
        for part in mine:
            async with database.transaction() as transaction:
                await store.score_range(transaction, part, scoring, moment)

    await asyncio.gather(score(parts[::2]), score(parts[1::2]))
    await connection.execute("UPDATE smb_heads SET announced_score = engagement_score")


async def settle(connection: asyncpg.Connection) -> None:
    """Leave the database as at rest: vacuumed, analysed, all pages written."""
    await connection.execute("VACUUM (ANALYZE)")
    await connection.execute("CHECKPOINT")
