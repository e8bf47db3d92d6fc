"""A database of the module's own, for what needs no worker."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.runtime.database import Database


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The pool that `verify` reads with."""
    one = Database.create(database_url)
    yield one
    await one.close()


@pytest.fixture
async def administrator(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the superuser, for what a test puts there."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
