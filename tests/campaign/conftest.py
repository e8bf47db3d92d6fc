"""A database of the module's own, with the campaign handler acting on it."""

from collections.abc import AsyncIterator

import pytest

from shared.runtime.database import Database
from tests.campaign.desk import CampaignDesk


@pytest.fixture(scope="module")
async def desk(database_url: str) -> AsyncIterator[CampaignDesk]:
    """The campaign handler on this module's database, with the policy that comes with the package."""
    database = Database.create(database_url)
    yield CampaignDesk(database, database_url)
    await database.close()
