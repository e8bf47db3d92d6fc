"""Which revision a database has, and which one this program knows."""

import re
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

VERSIONS = Path(__file__).parent / "versions"
NUMBERED = re.compile(r"^(?P<revision>\d{4})_\w+\.py$")

IS_MIGRATED = text("SELECT to_regclass('public.alembic_version') IS NOT NULL")
REVISION = text("SELECT version_num FROM public.alembic_version")


def known_revisions() -> list[str]:
    """Return the revisions of this program, oldest first."""
    found = (NUMBERED.match(path.name) for path in VERSIONS.iterdir())
    return sorted(match["revision"] for match in found if match)


def newest_revision() -> str:
    """Return the newest revision of this program, four digits."""
    return known_revisions()[-1]


async def database_revision(connection: AsyncConnection) -> str | None:
    """Return the database's revision; None when it was never migrated."""
    if not (await connection.execute(IS_MIGRATED)).scalar_one():
        return None
    return (await connection.execute(REVISION)).scalar_one_or_none()


async def schema_is_current(connection: AsyncConnection) -> bool:
    """Tell whether the database has the newest schema that this program knows, or a newer one.

    Needs the role smb_owner or smb_worker. A database that was never migrated is not current.
    """
    revision = await database_revision(connection)
    return revision is not None and revision >= newest_revision()
