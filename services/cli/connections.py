"""What commands work with: the settings, the database with its schema, the positions in Kafka."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from services.cli.errors import CommandFailed

if TYPE_CHECKING:
    from shared.runtime.database import Database
    from shared.runtime.positions import Positions
    from shared.runtime.settings import Settings

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work to its end."""
    return asyncio.run(work)


@asynccontextmanager
async def open_database(settings: "Settings") -> AsyncIterator["Database"]:
    """The database, once its schema is what this program needs. Raises CommandFailed when it is older."""
    from shared.migrations import schema_is_current
    from shared.runtime.database import Database

    url = settings.database_url.get_secret_value()
    database = Database.create(url, pool_size=3, application="smb-crm command")
    try:
        async with database.begin() as connection:
            if not await schema_is_current(connection):
                raise CommandFailed("the database's schema is older than this program: run `smb-crm migrate`")
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_positions(settings: "Settings") -> AsyncIterator["Positions"]:
    """The positions in Kafka, once all topics are there. Raises CommandFailed when one is missing."""
    from shared.runtime.positions import Positions
    from shared.schemas.topics import TOPICS, Topics

    async with Positions(settings) as positions:
        wanted = {Topics(settings.topic_prefix).full_name(topic) for topic in TOPICS}
        missing = wanted - {one.topic for one in await positions.partitions(wanted)}
        if missing:
            raise CommandFailed(f"topics are missing: {', '.join(sorted(missing))}; run `smb-crm topics`")
        yield positions


def rfc_3339(text: str) -> datetime:
    """Read a moment with an offset, as 2026-03-01T02:00:00Z. Wrong usage when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is not a time with an offset, such as 2026-03-01T02:00:00Z")
    return moment
