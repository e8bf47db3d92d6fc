"""A tenant of the test's own in this module's database."""

from collections.abc import AsyncIterator

import pytest

from shared.runtime.database import Database
from tests.engagement.desk import EngagementDesk


@pytest.fixture(scope="module")
async def databases(database_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """This module's database as a worker and as the API see it."""
    worker, api = Database.create(database_url), Database.create(database_url, role="smb_api")
    yield worker, api
    await worker.close()
    await api.close()


@pytest.fixture
def desk(databases: tuple[Database, Database]) -> EngagementDesk:
    """An SMB without any event."""
    return EngagementDesk(*databases)
