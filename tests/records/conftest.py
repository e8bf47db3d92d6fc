"""A database of the module's own, and a tenant of the test's own in it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.runtime.database import Database
from shared.schemas.topics import Topics
from tests.records.desk import RecordsDesk
from tests.records.importing import Imports


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


@pytest.fixture(scope="module")
async def database_of_the_api(database_url: str) -> AsyncIterator[Database]:
    """This module's database, as the API sees it."""
    database = Database.create(database_url, role="smb_api")
    yield database
    await database.close()


@pytest.fixture
def api_desk(desk: RecordsDesk, database_of_the_api: Database) -> RecordsDesk:
    """The tenant under the role of the API, behind row-level security."""
    return replace(desk, database=database_of_the_api.of(desk.tenant_id))


@pytest.fixture
def imports(desk: RecordsDesk, database: Database, database_of_the_api: Database) -> Imports:
    """The tenant's imports."""
    return Imports(desk, database_of_the_api.of(desk.tenant_id), database)
