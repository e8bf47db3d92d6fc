"""The records worker: `smb-crm worker records`, or `faststream run services.records.app:create --factory`."""

from typing import Annotated, TypeAlias

from faststream.asgi import AsgiFastStream

from services.engagement.handler import EngagementHandler
from services.records import ageing, erasure, job_tidying, job_work
from services.records.handler import RecordsHandler
from services.records.job_work import JobWork
from services.records.upkeep import Upkeep
from shared.runtime import retention
from shared.runtime.settings import Settings, load_settings
from shared.runtime.subscriber import Records, batch_options, described
from shared.runtime.worker import Worker
from shared.schemas.topics import JOB_SHARDS_TOPIC

Inputs: TypeAlias = Annotated[Records, described("records")]
Shards: TypeAlias = Annotated[Records, described("records", shards=True)]


def create(settings: Settings | None = None) -> AsgiFastStream:
    """The app alone, for FastStream's own command line."""
    return build(settings or load_settings())[1]


def build(settings: Settings) -> tuple[Worker, AsgiFastStream]:
    """Declare the worker and what it subscribes to. Raises WrongSettings."""
    worker = Worker("records", settings)
    engagement = EngagementHandler(worker.policy, settings.shard_max_smbs)
    upkeep = Upkeep(worker.policy, engagement, settings.shard_max_smbs)

    inputs = worker.topics.inputs_of("records")
    triggers = worker.consumer(worker.topics.group("records"), inputs, upkeep.handle)
    triggers_in = worker.broker.subscriber(*inputs, **batch_options(settings, triggers, settings.batch_max_records))

    @triggers_in
    async def records_triggers(records: Inputs) -> None:
        """Begin the weekly cleanup and the weekly recalculation of the data quality; park unknown triggers."""
        await triggers.process(records, triggers_in.consumer)

    shard_topic = worker.topics.full_name(JOB_SHARDS_TOPIC)
    shards = worker.consumer(worker.topics.shards_group("records"), [shard_topic], upkeep.handle_shard)
    shards_in = worker.broker.subscriber(shard_topic, **batch_options(settings, shards, 1))

    @shards_in
    async def records_shards(records: Shards) -> None:
        """Clean up one key range of SMBs, or compute its data quality."""
        await shards.process(records, shards_in.consumer)

    records = RecordsHandler(worker.policy, EngagementHandler(worker.policy, settings.shard_max_smbs))
    jobs = JobWork(worker.database, worker.topics, records)

    async def do_chunks() -> None:
        """Do chunks of imports, bulk updates and moved time zones."""
        await jobs.advance(worker.line.shutting_down.is_set)

    async def tidy_jobs() -> None:
        """Clear up after uploads that broke off and jobs that ended long ago."""
        await job_tidying.tidy_jobs(worker.database)

    worker.repeat(do_chunks, job_work.PAUSE_SECONDS)
    worker.repeat(tidy_jobs, job_tidying.EVERY_SECONDS)

    async def sweep_up_erased() -> None:
        """Remove what erasures have left."""
        await erasure.sweep(worker.database)

    async def remove_old() -> None:
        """Remove what has been kept for long enough."""
        await ageing.remove_old(worker.database)

    worker.repeat(remove_old, retention.EVERY_SECONDS)
    worker.repeat(sweep_up_erased, erasure.SWEEP_EVERY_SECONDS)
    return worker, worker.app("Keeps the records of SMBs: erases what is due, computes how complete profiles are.")
