"""One installation of smb-crm for a test module: a database, topics under a prefix, and real worker processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared.runtime.database import Database
from shared.runtime.positions import Positions
from shared.runtime.settings import Settings, load_settings
from shared.runtime.status import Status, wait_idle
from shared.runtime.topic_admin import create_topics
from shared.schemas.identity import SmbKey
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, ENGAGEMENT_TOPICS, Topics

# How long anything may take before a test gives up; generous, because machines are slow and shared.
PATIENCE_SECONDS = 90


class WorkerProcess:
    """A worker as a user would run it: a process of its own."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        log: Path,
        program: Sequence[str] = ("-m", "services.cli", "worker"),
    ) -> None:
        self.name = name
        self.log = log
        self.environment = dict(environment)
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, *program, name],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def terminate(self) -> int:
        """SIGTERM, and wait; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def ops(self, path: str) -> tuple[int, str]:
        """GET a path of the operations server; status 0 when it does not answer."""
        url = f"http://127.0.0.1:{self.environment['SMB_OPS_PORT']}{path}"
        try:
            with urlopen(url, timeout=5) as answer:  # noqa: S310  our own loopback server
                return answer.status, answer.read().decode()
        except URLError as error:
            return getattr(error, "code", 0) or 0, error.read().decode() if hasattr(error, "read") else ""
        except OSError:
            return 0, ""

    def logged(self) -> str:
        """Everything that it has logged so far."""
        return self.log.read_text(errors="replace")


@dataclass
class Installation:
    """Settings and the acts that tests need again and again."""

    settings: Settings
    environment: dict[str, str]
    topics: Topics
    database: Database
    workers: list[WorkerProcess] = field(default_factory=list)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="smb-crm-test-")))

    def start(self, name: str, program: Sequence[str] | None = None, **environment: str) -> WorkerProcess:
        """Start a worker process with extra environment variables; `program` are Python's arguments for another one."""
        worker = WorkerProcess(
            name,
            self.environment | {"SMB_OPS_PORT": str(free_port())} | environment,
            self.folder / f"{name}-{len(self.workers)}.log",
            program or ("-m", "services.cli", "worker"),
        )
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        """Kill all workers that still run."""
        for worker in self.workers:
            worker.kill()

    async def publish(self, messages: Sequence["Message"]) -> None:
        """Publish messages in order and wait for the acknowledgements."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, linger_ms=5, max_request_size=2 * 1024 * 1024
        )
        await producer.start()
        try:
            sent = [
                await producer.send(
                    self.topics.full_name(one.topic),
                    one.value,
                    key=one.key,
                    headers=list(one.headers),
                    partition=one.partition,
                )
                for one in messages
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def idle(self, seconds: float = PATIENCE_SECONDS) -> Status:
        """Wait until nothing is under way for the services whose workers were started; fails the test when that takes too long."""
        groups = self.topics.groups(sorted({worker.name for worker in self.workers}))
        async with Positions(self.settings) as positions:
            status = await wait_idle(self.database, positions, groups, seconds)
        assert status.idle, (status, *(worker.logged()[-2000:] for worker in self.workers))
        return status

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as the superuser."""
        connection = await asyncpg.connect(self.settings.database_url.get_secret_value())
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: Any) -> Any:
        """The first column of the first row."""
        rows = await self.fetch(statement, *arguments)
        return rows[0][0] if rows else None

    async def add_smbs(self, count: int, tenant_id: uuid.UUID | None = None) -> list[SmbKey]:
        """Put bare SMBs into the database, for tests that do not care how they came there."""
        keys = [SmbKey(tenant_id or uuid.uuid4(), uuid.uuid4()) for _ in range(count)]
        tenants, smbs = [key.tenant_id for key in keys], [key.smb_id for key in keys]
        await self.fetch(
            "INSERT INTO smb_heads (tenant_id, smb_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])", tenants, smbs
        )
        await self.fetch(
            "INSERT INTO smbs (tenant_id, id, slug, business_name, created_at, updated_at)"
            " SELECT t, s, 'smb-' || s, 'A business', now(), now() FROM unnest($1::uuid[], $2::uuid[]) AS new (t, s)",
            tenants,
            smbs,
        )
        return keys

    async def announcements(self, smb: SmbKey | None = None, type_: str | None = None) -> list[dict[str, Any]]:
        """What stands on smb.events, each with its headers (without `ce_`) and its data; first copies only."""
        found: dict[str, dict[str, Any]] = {}
        for record in await self.read_topic(ANNOUNCEMENTS_TOPIC):
            headers = {name.removeprefix("ce_"): value.decode() for name, value in record.headers}
            found.setdefault(headers["id"], headers | {"data": json.loads(record.value), "bytes": record.value})
        return [
            one
            for one in found.values()
            if (smb is None or (one["tenantid"], one["subject"]) == (str(smb.tenant_id), str(smb.smb_id)))
            and (type_ is None or one["type"] == type_)
        ]

    async def read_topic(self, topic: str) -> list[ConsumerRecord[Any, Any]]:
        """All records of a topic, in the order of each partition."""
        name = self.topics.full_name(topic)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            await consumer.topics()
            partitions = [TopicPartition(name, number) for number in range(self.settings.topic_partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[ConsumerRecord[Any, Any]] = []
            for partition in partitions:
                await consumer.seek_to_beginning(partition)
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await consumer.stop()


@dataclass(frozen=True)
class Message:
    """A record to publish; `partition` None lets the key decide."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, Any]] = (("content-type", b"application/cloudevents+json"),)
    partition: int | None = None


def event(  # noqa: PLR0913  one argument for each part of the envelope
    type_: str,
    smb: SmbKey,
    *,
    topic: str | None = None,
    id_: str | None = None,
    time: datetime | None = None,
    source: str = "/modules/test",
    **data: Any,
) -> Message:
    """A CloudEvents document about an SMB, in structured mode."""
    document = {
        "specversion": "1.0",
        "id": id_ or uuid.uuid4().hex,
        "source": source,
        "type": type_,
        "time": (time or datetime.now(UTC)).isoformat(),
        "subject": str(smb.smb_id),
        "tenantid": str(smb.tenant_id),
        "datacontenttype": "application/json",
        "data": {"smb_id": str(smb.smb_id), **data},
    }
    return Message(topic or ENGAGEMENT_TOPICS[type_], json.dumps(document).encode(), str(smb.smb_id).encode())


def trigger(
    name: str, *, id_: str | None = None, scheduled_for: datetime | None = None, time: datetime | None = None
) -> Message:
    """A schedule trigger, in structured mode."""
    now = datetime.now(UTC)
    document = {
        "specversion": "1.0",
        "id": id_ or uuid.uuid4().hex,
        "source": "/test/schedule",
        "type": name,
        "time": (time or now).isoformat(),
        "data": {"scheduled_for": (scheduled_for or now).isoformat()},
    }
    return Message("smb.schedule", json.dumps(document).encode(), name.encode())


async def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until a condition (sync or async) gives something true, and return it; fails the test otherwise."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(what)


@asynccontextmanager
async def installed(
    database_url: str, bootstrap_servers: str, prefix: str, **settings: str
) -> AsyncIterator[Installation]:
    """An installation with its topics; its workers are killed at the end."""
    variables = {
        "SMB_DATABASE_URL": database_url,
        "SMB_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "SMB_TOPIC_PREFIX": prefix,
        "SMB_TOPIC_PARTITIONS": "4",
        "SMB_TOPIC_REPLICATION": "1",
        "SMB_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
    } | settings
    values = {name.removeprefix("SMB_").lower(): value for name, value in variables.items()}
    loaded = load_settings(**values)
    database = Database.create(database_url)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMB_")}
    installation = Installation(loaded, inherited | variables, Topics(prefix), database)
    await create_topics(loaded)
    try:
        yield installation
    finally:
        installation.stop_workers()
        await database.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
