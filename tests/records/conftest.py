"""A database of the module's own, and a tenant of the test's own in it."""

from collections.abc import AsyncIterator

import pytest

from shared.runtime.database import Database
from shared.schemas.topics import Topics
from tests.records.desk import RecordsDesk


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    """This module's database, as a worker sees it."""
    database = Database.create(database_url)
    yield database
    await database.close()


@pytest.fixture
def desk(database: Database, database_url: str, topic_prefix: str) -> RecordsDesk:
    """A tenant without any SMB."""
    return RecordsDesk(database, database_url, topics=Topics(topic_prefix))
