"""What one writes first: a FastStream worker with one handler call, and one ORM transaction, per event.

`python -m benchmarks.plain_worker` is its process. It does what the engagement worker does for one event (store it
once, load the SMB, compute its score from its events, save), without an outbox, into tables of its own.
"""

import asyncio
import logging
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream import FastStream
from faststream.kafka import KafkaBroker
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import DateTime, SmallInteger, make_url, select, text
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.processes import answer, arguments, tell_ready_and_wait
from benchmarks.publishing import publish
from benchmarks.stage import Installation, Stage
from benchmarks.traffic import PARTITIONS, Mix, records
from services.engagement.rules import ScoredEvent, score
from shared.runtime.kafka import client_options
from shared.schemas.identity import event_key
from shared.schemas.policy import Policy

KINDS = {
    "EmailOpened": "email_opened",
    "RVMDelivered": "rvm_delivered",
    "EmailClicked": "email_clicked",
    "CallbackReceived": "callback_received",
    "ContentViewed": "content_viewed",
    "ContentCompleted": "content_completed",
    "ApprovalSubmitted": "approval_approved",
}
# FastStream gives a typed handler nothing but bytes for the content type of CloudEvents.
PLAIN_HEADERS = (("content-type", b"application/json"),)


class Base(DeclarativeBase):
    """All tables of the plain worker."""


class PlainEvent(Base):
    """One stored event."""

    __tablename__ = "copied_events"
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    smb_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_key: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(
        ENUM(*KINDS.values(), "approval_rejected", name="engagement_kind", create_type=False)
    )
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    source: Mapped[str]
    event_id: Mapped[str]
    reference: Mapped[str]
    service: Mapped[str | None]
    url: Mapped[str | None]
    partition_number: Mapped[int]
    partition_offset: Mapped[int]


class PlainSmb(Base):
    """One SMB with its score in the wide row."""

    __tablename__ = "copied_smbs"
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    business_name: Mapped[str]
    primary_email: Mapped[str | None]
    engagement_score: Mapped[int] = mapped_column(SmallInteger)


class Document(BaseModel):
    """A CloudEvents document; FastStream parses it before it calls the handler."""

    id: str
    source: str
    type: Literal[
        "EmailOpened",
        "RVMDelivered",
        "EmailClicked",
        "CallbackReceived",
        "ContentViewed",
        "ContentCompleted",
        "ApprovalSubmitted",
    ]
    time: AwareDatetime
    subject: UUID
    tenantid: UUID
    data: dict[str, Any]


async def events_per_second(stage: Stage, installation: Installation, mix: Mix) -> float:
    """Let one plain worker read the events of a mix from one topic that holds them already."""
    topic = f"bench-plain-{mix.seed}"
    admin = AIOKafkaAdminClient(**client_options(installation.settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()
    plain = (one._replace(headers=PLAIN_HEADERS) for one in records(mix))
    await publish(installation, plain, lambda _: topic)
    await installation.connection.execute("CHECKPOINT")
    worker = stage.processes.contestant(
        "plain_worker",
        url=installation.url,
        bootstrap_servers=installation.settings.kafka_bootstrap_servers,
        topic=topic,
        events=mix.events,
    )
    await worker.ready()
    worker.begin()
    seconds = await worker.result()
    await stage.processes.end(worker)
    return (mix.events - 1) / float(seconds)


async def consume(url: str, bootstrap_servers: str, topic: str, events: int) -> None:
    """Read so many events and answer with the seconds from the first one's end to the last one's."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    broker = KafkaBroker(bootstrap_servers, logger=logging.getLogger("plain"))
    app = FastStream(broker, logger=None)
    scoring = Policy.default().score
    ends: list[float] = []
    done = asyncio.Event()

    @broker.subscriber(topic, group_id=topic, auto_offset_reset="earliest")
    async def on_event(event: Document) -> None:
        now = datetime.now(UTC)
        row = PlainEvent(
            tenant_id=event.tenantid,
            smb_id=event.subject,
            event_key=event_key(event.source, event.id),
            kind=KINDS[event.type],
            occurred_at=event.time,
            received_at=now,
            source=event.source,
            event_id=event.id,
            reference=event.id,
            service=event.data.get("service"),
            url=event.data.get("url"),
            partition_number=0,
            partition_offset=0,
        )
        async with sessions() as session:
            try:
                session.add(row)
                smb = await session.get_one(PlainSmb, (event.tenantid, event.subject), with_for_update=True)
                stored = await session.execute(
                    select(PlainEvent.kind, PlainEvent.occurred_at).where(
                        PlainEvent.tenant_id == event.tenantid, PlainEvent.smb_id == event.subject
                    )
                )
                smb.engagement_score = score((ScoredEvent(*one) for one in stored), scoring, now.date()).score
                await session.commit()
            except IntegrityError:
                await session.rollback()  # it came before
        ends.append(perf_counter())
        if len(ends) == events:
            done.set()

    async with engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
    tell_ready_and_wait()
    running = asyncio.create_task(app.run())
    await done.wait()
    answer(ends[-1] - ends[0])
    app.exit()
    await running
    await engine.dispose()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(consume(**arguments()))
