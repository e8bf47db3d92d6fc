"""One installation of smb-crm for a test module: a database, topics under a prefix, and real worker processes."""

import asyncio
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared.runtime.database import Database
from shared.runtime.positions import Positions
from shared.runtime.settings import Settings, load_settings
from shared.runtime.status import Status, wait_idle
from shared.runtime.topic_admin import create_topics
from shared.schemas.identity import SmbKey
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, SERVICES, Topics
from tests.messages import Message, event, trigger
from tests.worker_process import PATIENCE_SECONDS, WorkerProcess, free_port

__all__ = [
    "PATIENCE_SECONDS",
    "Installation",
    "Message",
    "WorkerProcess",
    "event",
    "eventually",
    "free_port",
    "installed",
    "trigger",
]


@dataclass
class Installation:
    """Settings and the acts that tests need again and again."""

    settings: Settings
    environment: dict[str, str]
    topics: Topics
    database: Database
    workers: list[WorkerProcess] = field(default_factory=list)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="smb-crm-test-")))

    def start(self, name: str, module: str = "services.cli", **environment: str) -> WorkerProcess:
        """Start a worker process with extra environment variables; `module` is what runs instead of `smb-crm`."""
        return self._start(name, environment, module=module)

    def start_in_new_interpreter(self, name: str, environment: Mapping[str, str]) -> WorkerProcess:
        """The same, for environment variables that count only when an interpreter begins."""
        return self._start(name, environment, in_new_interpreter=True)

    def _start(self, name: str, environment: Mapping[str, str], **options: Any) -> WorkerProcess:  # noqa: ANN401  passed on
        worker = WorkerProcess(
            name,
            self.environment | {"SMB_OPS_PORT": str(free_port())} | dict(environment),
            self.folder / f"{name}-{len(self.workers)}.log",
            **options,
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
        """Wait until nothing is under way for the services whose workers were started; fails when it takes too long."""
        started = {worker.name for worker in self.workers}
        groups = self.topics.groups([service for service in SERVICES if service in started])
        async with Positions(self.settings) as positions:
            status = await wait_idle(self.database, positions, groups, seconds)
        assert status.idle, (status, *(worker.logged()[-2000:] for worker in self.workers))
        return status

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Query the database as the superuser."""
        connection = await asyncpg.connect(self.settings.database_url.get_secret_value())
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: object) -> Any:  # noqa: ANN401  whatever the column holds
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
            "INSERT INTO smbs (tenant_id, id, slug, business_name, data_quality_score, created_at, updated_at)"
            " SELECT t, s, 'smb-' || s, 'A business', 25, now(), now()"
            " FROM unnest($1::uuid[], $2::uuid[]) AS new (t, s)",
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


async def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:  # noqa: ANN401  whatever the condition gives
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
        shutil.rmtree(installation.folder, ignore_errors=True)
