"""The four roles. They belong to the whole cluster: another database's migration may make them at the same moment."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from shared.migrations.errors import MigrationError

OWNER = "smb_owner"
ROLES = (OWNER, "smb_worker", "smb_api", "smb_reader")

# Two migrations of one cluster met: both made the role (unique violation or duplicate), or changed it at once.
MADE_BY_ANOTHER = {"23505", "42710"}
CHANGED_BY_ANOTHER = "XX000"
NOT_ALLOWED = "42501"
# Each attempt loses only against one that won.
ATTEMPTS = 20

MISSING_ROLES = text("""
SELECT name FROM unnest(CAST(:roles AS text[])) WITH ORDINALITY AS wanted (name, place)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY place
""")
# Since PostgreSQL 16 a member of a role may be barred from SET ROLE; before, every member may.
ROLES_NOT_HELD = text("""
SELECT name FROM unnest(CAST(:roles AS text[])) WITH ORDINALITY AS wanted (name, place)
WHERE NOT pg_has_role(name, CASE WHEN CAST(current_setting('server_version_num') AS integer) >= 160000
    THEN 'SET' ELSE 'MEMBER' END) ORDER BY place
""")
OWNER_MAY_CREATE = text("SELECT has_schema_privilege('smb_owner', 'public', 'CREATE')")
CURRENT_USER = text("SELECT current_user")


async def ensure_roles(connection: AsyncConnection) -> None:
    """Make the missing roles, let the current user become each of them, and let the owner create tables.

    Commits. Nothing changes the second time. Raises MigrationError, with what an administrator has to run, when the
    current user may not do what is missing.
    """
    user = (await connection.execute(CURRENT_USER)).scalar_one()
    for role in await names(connection, MISSING_ROLES):
        await allowed(connection, f"CREATE ROLE {role} NOLOGIN", user)
    for role in await names(connection, ROLES_NOT_HELD):
        await allowed(connection, f'GRANT {role} TO "{user}"', user)
    await connection.commit()
    if not (await connection.execute(OWNER_MAY_CREATE)).scalar_one():
        grant = f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}"
        await allowed(connection, grant, user)
        if not (await connection.execute(OWNER_MAY_CREATE)).scalar_one():
            raise MigrationError(
                f"the database user {user} may not let {OWNER} create tables: run {grant} as its owner"
            )
    await connection.commit()


async def names(connection: AsyncConnection, statement: object) -> list[str]:
    """Run one of the two questions above."""
    return list((await connection.execute(statement, {"roles": list(ROLES)})).scalars())  # type: ignore[call-overload]


async def allowed(connection: AsyncConnection, statement: str, user: str) -> None:
    """Run a statement in a transaction of its own; it is fine when another migration has done the same just now."""
    attempts = AsyncRetrying(
        retry=retry_if_exception(lambda error: code_of(error) == CHANGED_BY_ANOTHER),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )
    async for attempt in attempts:
        with attempt:
            await connection.commit()
            try:
                await connection.execute(text(statement))
                await connection.commit()
            except DBAPIError as error:
                await connection.rollback()
                if code_of(error) == NOT_ALLOWED:
                    raise MigrationError(
                        f"the database user {user} may not run what is missing; an administrator has to: {statement}"
                    ) from error
                if code_of(error) not in MADE_BY_ANOTHER:
                    raise


def code_of(error: BaseException) -> str | None:
    """Return PostgreSQL's five characters for an error; None when it is not PostgreSQL's."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code if isinstance(code, str) else None
