"""Creates the demo's communities and SMBs as the records service does."""

from collections.abc import Sequence
from datetime import datetime

from services.demo.population import Business, Population
from services.engagement.handler import EngagementHandler
from services.records.handler import RecordsHandler
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.runtime.settings import Settings
from shared.schemas.policy import Policy
from shared.schemas.topics import Topics

# Heads that one transaction holds at the most.
SLICE_SMBS = 250


class Creation:
    """Creates by the code that the API and imports use."""

    def __init__(self, database: Database, settings: Settings, policy: Policy) -> None:
        self._database = database
        self._topics = Topics(settings.topic_prefix)
        self._records = RecordsHandler(policy, EngagementHandler(policy, settings.shard_max_smbs))

    async def create_communities(self, population: Population) -> None:
        """Create all communities."""

        async def create(transaction: Transaction, now: datetime) -> Outcome:
            return await self._records.create_communities(transaction, population.communities, now)

        await transact(self._database, self._topics, (), create)

    async def create_smbs(self, businesses: Sequence[Business]) -> None:
        """Create these SMBs; what they did before counts at once."""
        for first in range(0, len(businesses), SLICE_SMBS):
            requests = [business.request for business in businesses[first : first + SLICE_SMBS]]

            async def create(transaction: Transaction, now: datetime) -> Outcome:
                return await self._records.create_smbs(transaction, requests, now)  # noqa: B023  awaited in this turn

            await transact(self._database, self._topics, [request.key for request in requests], create)
