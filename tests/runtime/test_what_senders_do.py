"""Senders that use transactions or set timestamps of their own: neither may lose events or make up new ones."""

from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer

from tests.installation import Installation, Message, event, eventually


async def test_what_a_sender_has_taken_back_never_happened(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    taken_back, meant = (event("EmailOpened", smb, id_=id_, message_id="m") for id_ in ("taken back", "meant"))
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.settings.kafka_bootstrap_servers,
        transactional_id=f"{installation.settings.topic_prefix}sender",
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await send(installation, producer, taken_back)
        await producer.abort_transaction()
        async with producer.transaction():
            await send(installation, producer, meant)
    finally:
        await producer.stop()
    installation.start("engagement")
    await eventually(lambda: installation.fetch("SELECT FROM engagement_events"), "an event is in")
    stored = await installation.fetch("SELECT event_id FROM engagement_events WHERE smb_id = $1", smb.smb_id)
    assert [row["event_id"] for row in stored] == ["meant"]


async def test_kafka_keeps_an_event_by_the_time_of_its_arrival_whatever_the_sender_writes(
    installation: Installation,
) -> None:
    (smb,) = await installation.add_smbs(1)
    producer = AIOKafkaProducer(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    before = datetime.now(UTC)
    await producer.start()
    try:
        message = event("ContentViewed", smb, content_id="old news")
        await send(installation, producer, message, timestamp=before - timedelta(days=45))
    finally:
        await producer.stop()
    (record,) = await installation.read_topic("content.viewed")
    assert datetime.fromtimestamp(record.timestamp / 1000, UTC) > before - timedelta(minutes=1)


async def send(
    installation: Installation, producer: AIOKafkaProducer, message: Message, timestamp: datetime | None = None
) -> None:
    await producer.send_and_wait(
        installation.topics.full_name(message.topic),
        message.value,
        key=message.key,
        headers=list(message.headers),
        timestamp_ms=int(timestamp.timestamp() * 1000) if timestamp else None,
    )
