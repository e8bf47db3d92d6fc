"""A database of the module's own, with the tier handler acting on it."""

from collections.abc import AsyncIterator

import pytest

from shared.runtime.database import Database
from tests.tier.desk import TierDesk


@pytest.fixture(scope="module")
async def desk(database_url: str) -> AsyncIterator[TierDesk]:
    """The tier handler on this module's database, with the policy that comes with the package."""
    database = Database.create(database_url)
    yield TierDesk(database, database_url)
    await database.close()
