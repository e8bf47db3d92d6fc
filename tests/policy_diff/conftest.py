"""A population of the module's own."""

from collections.abc import AsyncIterator

import pytest

from shared.runtime.database import Database
from tests.policy_diff.population import Population


@pytest.fixture(scope="module")
async def population(database_url: str) -> AsyncIterator[Population]:
    """300 SMBs."""
    database = Database.create(database_url)
    one = Population(database, database_url)
    await one.fill()
    yield one
    await database.close()
