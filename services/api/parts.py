"""What the routes work with: the database as the API's role, the services' handlers, and who may ask."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request

from services.api.credentials import Credential, Verifier
from services.api.rates import Rates
from services.campaign.handler import CampaignHandler
from services.engagement.handler import EngagementHandler
from services.records.handler import RecordsHandler
from shared.runtime.database import Database, TenantDatabase
from shared.runtime.settings import Settings
from shared.runtime.worker import read_policy
from shared.schemas.policy import Policy
from shared.schemas.topics import Topics

ROLE = "smb_api"
# Requests that use the database at the same time; the others wait for a connection.
CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that lives as long as the process."""

    settings: Settings
    policy: Policy
    database: Database
    topics: Topics
    verifier: Verifier
    rates: Rates
    engagement: EngagementHandler
    campaign: CampaignHandler
    records: RecordsHandler

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Prepare everything; nothing is connected yet. Raises WrongSettings."""
        policy = read_policy(settings)
        engagement = EngagementHandler(policy, settings.shard_max_smbs)
        url = settings.database_url.get_secret_value()
        return cls(
            settings=settings,
            policy=policy,
            database=Database.create(url, role=ROLE, pool_size=CONNECTIONS, application="smb-crm api"),
            topics=Topics(settings.topic_prefix),
            verifier=Verifier(settings),
            rates=Rates(settings.http_rate_limit),
            engagement=engagement,
            campaign=CampaignHandler(policy, settings.shard_max_smbs),
            records=RecordsHandler(policy, engagement),
        )


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _credential(request: Request) -> Credential:
    credential: Credential = request.state.credential
    return credential


def _tenant_database(request: Request) -> TenantDatabase:
    return _parts(request).database.of(_credential(request).tenant_id)


Ours = Annotated[Parts, Depends(_parts)]
Asker = Annotated[Credential, Depends(_credential)]
Tenant = Annotated[TenantDatabase, Depends(_tenant_database)]
