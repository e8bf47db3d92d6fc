"""A database of the module's own: as the runtime sees it, and as the superuser does."""

import uuid
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from shared.runtime.database import Database
from shared.schemas.identity import SmbKey


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The pool that a worker has."""
    one = Database.create(database_url)
    yield one
    await one.close()


@pytest.fixture
async def administrator(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the superuser, for what a test sets up and looks at."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def smbs(administrator: asyncpg.Connection) -> Sequence[SmbKey]:
    """Three heads, in their order."""
    keys = sorted(SmbKey(uuid.uuid4(), uuid.uuid4()) for _ in range(3))
    await administrator.executemany("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", keys)
    return keys
