"""The campaign worker: `smb-crm worker campaign`, or `faststream run services.campaign.app:create --factory`."""

from typing import Annotated, TypeAlias

from faststream.asgi import AsgiFastStream

from services.campaign import ledger
from services.campaign.handler import CampaignHandler
from shared.runtime import retention
from shared.runtime.settings import Settings, load_settings
from shared.runtime.subscriber import Records, batch_options, described
from shared.runtime.worker import Worker
from shared.schemas.topics import JOB_SHARDS_TOPIC

Inputs: TypeAlias = Annotated[Records, described("campaign")]
Shards: TypeAlias = Annotated[Records, described("campaign", shards=True)]


def create(settings: Settings | None = None) -> AsgiFastStream:
    """The app alone, for FastStream's own command line."""
    return build(settings or load_settings())[1]


def build(settings: Settings) -> tuple[Worker, AsgiFastStream]:
    """Declare the worker and what it subscribes to. Raises WrongSettings."""
    worker = Worker("campaign", settings)
    handler = CampaignHandler(worker.policy, settings.shard_max_smbs)

    inputs = worker.topics.inputs_of("campaign")
    requests = worker.consumer(worker.topics.group("campaign"), inputs, handler.handle)
    requests_in = worker.broker.subscriber(*inputs, **batch_options(settings, requests, settings.batch_max_records))

    @requests_in
    async def campaign_requests(records: Inputs) -> None:
        """Apply approvals and commands once each, announce what they change; begin the daily advance."""
        await requests.process(records, requests_in.consumer)

    shard_topic = worker.topics.full_name(JOB_SHARDS_TOPIC)
    shards = worker.consumer(worker.topics.shards_group("campaign"), [shard_topic], handler.handle_shard)
    shards_in = worker.broker.subscriber(shard_topic, **batch_options(settings, shards, 1))

    @shards_in
    async def campaign_shards(records: Shards) -> None:
        """Advance the campaigns of one key range of SMBs."""
        await shards.process(records, shards_in.consumer)

    async def remove_old_commands() -> None:
        """Forget commands that count as repeated by their age alone."""
        await ledger.remove_old_commands(worker.database)

    worker.repeat(remove_old_commands, retention.EVERY_SECONDS)
    return worker, worker.app("Leads SMBs through their 90-day campaigns.")
