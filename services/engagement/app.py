"""The engagement worker: `smb-crm worker engagement`, or `faststream run services.engagement.app:create --factory`."""

from typing import Annotated, TypeAlias

from faststream.asgi import AsgiFastStream

from services.engagement.handler import EngagementHandler
from shared.runtime.settings import Settings, load_settings
from shared.runtime.subscriber import Records, batch_options, described
from shared.runtime.worker import Worker
from shared.schemas.topics import JOB_SHARDS_TOPIC

Inputs: TypeAlias = Annotated[Records, described("engagement")]
Shards: TypeAlias = Annotated[Records, described("engagement", shards=True)]


def create(settings: Settings | None = None) -> AsgiFastStream:
    """The app alone, for FastStream's own command line."""
    return build(settings or load_settings())[1]


def build(settings: Settings) -> tuple[Worker, AsgiFastStream]:
    """Declare the worker and what it subscribes to. Raises WrongSettings."""
    worker = Worker("engagement", settings)
    handler = EngagementHandler(worker.policy, settings.shard_max_smbs)

    inputs = worker.topics.inputs_of("engagement")
    events = worker.consumer(worker.topics.group("engagement"), inputs, handler.handle)
    events_in = worker.broker.subscriber(*inputs, **batch_options(settings, events, settings.batch_max_records))

    @events_in
    async def engagement_events(records: Inputs) -> None:
        """Store events once each, score the SMBs that they are about, announce what moved; begin recalculations."""
        await events.process(records, events_in.consumer)

    shard_topic = worker.topics.full_name(JOB_SHARDS_TOPIC)
    shards = worker.consumer(worker.topics.shards_group("engagement"), [shard_topic], handler.handle_shard)
    shards_in = worker.broker.subscriber(shard_topic, **batch_options(settings, shards, 1))

    @shards_in
    async def engagement_shards(records: Shards) -> None:
        """Score one key range of SMBs."""
        await shards.process(records, shards_in.consumer)

    return worker, worker.app("Turns what SMBs did into an engagement score.")
