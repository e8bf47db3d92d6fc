"""`smb-crm trigger`: publish one schedule trigger, as the CronJobs do."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple
from uuid import uuid4

import typer

from services.cli.connections import rfc_3339, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, moment, say, say_json

if TYPE_CHECKING:
    from shared.runtime.settings import Settings


class TriggerName(StrEnum):
    """The triggers that exist."""

    ADVANCE = "AdvanceManifestDestinyDay"
    RECALCULATE = "RecalculateEngagementScores"
    EVALUATE = "EvaluateTierTransitions"
    CLEAN_UP = "CleanupDeletedSMBs"
    DATA_QUALITY = "RecalculateDataQuality"


class Published(NamedTuple):
    """A trigger that Kafka has acknowledged."""

    trigger: str
    id: str
    scheduled_for: datetime
    topic: str
    partition: int
    offset: int


def trigger(
    name: Annotated[TriggerName, typer.Argument(help="What to begin; one run serves all tenants.")],
    scheduled_for: Annotated[
        datetime | None,
        typer.Option(
            parser=rfc_3339,
            metavar="RFC3339",
            help="The time for which it asks. Default: the minute in the job's name, else when it was last due.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish one schedule trigger, and wait until Kafka has it.

    The trigger's id is SMB_JOB_NAME where it is set (a Kubernetes job's name, so that a retried pod repeats the id
    and nothing runs twice), else a fresh one. Prints the id and the time.
    """
    from shared.runtime.settings import load_settings
    from shared.schemas.envelope import AHEAD_MAX

    if scheduled_for is not None and scheduled_for > datetime.now(UTC) + AHEAD_MAX:
        raise typer.BadParameter("is more than 5 minutes ahead: the workers would refuse it")
    published = run(publish(load_settings(), name, scheduled_for))
    if as_json:
        say_json(published._asdict())
        return
    say(f"{published.trigger} published, scheduled for {moment(published.scheduled_for)}")
    say(f"id {published.id} ({published.topic}, partition {published.partition}, offset {published.offset})")


async def publish(settings: "Settings", name: TriggerName, scheduled_for: datetime | None = None) -> Published:
    """Send one trigger and wait for the acknowledgement; without a time it is for when its schedule was last due."""
    from aiokafka import AIOKafkaProducer

    from shared.runtime.kafka import producer_options
    from shared.schemas.catalog import SCHEDULE_TRIGGERS
    from shared.schemas.encoding import encode
    from shared.schemas.schedules import scheduled_for as due
    from shared.schemas.topics import SCHEDULE_TOPIC, Topics

    now = datetime.now(UTC)
    id_ = settings.job_name or f"by-hand-{uuid4()}"
    when = scheduled_for or due(name, settings.job_name, now)
    data = SCHEDULE_TRIGGERS[name].model_validate({"scheduled_for": when.astimezone(UTC)})
    message = encode(data, id=id_, time=now)
    topic = Topics(settings.topic_prefix).full_name(SCHEDULE_TOPIC)
    producer = AIOKafkaProducer(**producer_options(settings))
    try:
        await producer.start()
        # Asked before: sending to a topic that is not there would wait for it, for twenty seconds.
        if topic not in (await producer.client.fetch_all_metadata()).topics():
            raise CommandFailed(f"topic {topic} is missing: run `smb-crm topics`")
        placed = await producer.send_and_wait(topic, message.value, key=name.encode(), headers=message.headers)
    finally:
        await producer.stop()
    return Published(name.value, id_, when, topic, placed.partition, placed.offset)
