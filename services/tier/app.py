"""The tier worker: `smb-crm worker tier`, or `faststream run services.tier.app:create --factory`."""

from typing import Annotated, TypeAlias

from faststream.asgi import AsgiFastStream

from services.tier.handler import TierHandler
from shared.runtime.batch import transact
from shared.runtime.settings import Settings, load_settings
from shared.runtime.subscriber import Records, batch_options, described
from shared.runtime.worker import Worker
from shared.schemas.topics import JOB_SHARDS_TOPIC

# How often to look whether an evaluation still has to wait for its day's recalculation.
LOOK_SECONDS = 1.0

Inputs: TypeAlias = Annotated[Records, described("tier")]
Shards: TypeAlias = Annotated[Records, described("tier", shards=True)]


def create(settings: Settings | None = None) -> AsgiFastStream:
    """The app alone, for FastStream's own command line."""
    return build(settings or load_settings())[1]


def build(settings: Settings) -> tuple[Worker, AsgiFastStream]:
    """Declare the worker and what it subscribes to. Raises WrongSettings."""
    worker = Worker("tier", settings)
    handler = TierHandler(worker.policy, settings.shard_max_smbs)

    inputs = worker.topics.inputs_of("tier")
    announcements = worker.consumer(worker.topics.group("tier"), inputs, handler.handle)
    announcements_in = worker.broker.subscriber(
        *inputs, **batch_options(settings, announcements, settings.batch_max_records)
    )

    @announcements_in
    async def tier_announcements(records: Inputs) -> None:
        """Look at the SMBs whose scores were announced, and change their tiers; register evaluations."""
        await announcements.process(records, announcements_in.consumer)

    shard_topic = worker.topics.full_name(JOB_SHARDS_TOPIC)
    shards = worker.consumer(worker.topics.shards_group("tier"), [shard_topic], handler.handle_shard)
    shards_in = worker.broker.subscriber(shard_topic, **batch_options(settings, shards, 1))

    @shards_in
    async def tier_shards(records: Shards) -> None:
        """Evaluate one key range of SMBs."""
        await shards.process(records, shards_in.consumer)

    async def start_due_evaluations() -> None:
        await transact(worker.database, worker.topics, (), handler.start_due_evaluations)

    worker.repeat(start_due_evaluations, LOOK_SECONDS)
    return worker, worker.app("Turns engagement scores into tiers.")
