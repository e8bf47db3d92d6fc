"""The database goes back to a backup: workers stop loudly, `after-restore` puts things right."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import Stack
from services.records.erasure import erase
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBCreated
from shared.schemas.identity import SmbKey
from tests.commands import smb_crm, succeeds
from tests.conftest import AdministratorOf, unique_name
from tests.installation import Installation, Message, WorkerProcess, event, eventually

NEEDED = ("engagement", "tier")


class Backups:
    """Copies of the installation's database, and its return to one of them under everybody's feet."""

    def __init__(self, stack: Stack, installation: Installation) -> None:
        self._stack = stack
        self._pool = installation.database.engine
        self._name = urlsplit(installation.environment["SMB_DATABASE_URL"]).path.removeprefix("/")
        self.names: list[str] = []

    async def take(self) -> str:
        """Copy the database while nobody is connected to it."""
        name = unique_name("backup")
        await self._pool.dispose()
        async with AdministratorOf(self._stack.database_url) as administrator:
            await administrator.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
            await administrator.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", self._name
            )
            await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {self._name}")
            await administrator.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")
        self.names.append(name)
        return name

    async def restore(self, name: str) -> None:
        """Put the database back, whoever uses it."""
        await self._pool.dispose()
        async with AdministratorOf(self._stack.database_url) as administrator:
            await administrator.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
            await administrator.execute(f"CREATE DATABASE {self._name} TEMPLATE {name}")

    async def drop(self) -> None:
        """Remove all copies."""
        async with AdministratorOf(self._stack.database_url) as administrator:
            for name in self.names:
                await administrator.execute(f"DROP DATABASE {name}")


@asynccontextmanager
async def backups_of(stack: Stack, installation: Installation) -> AsyncIterator[Backups]:
    backups = Backups(stack, installation)
    try:
        yield backups
    finally:
        await backups.drop()


def approvals(smb: SmbKey, name: str, count: int) -> list[Message]:
    return [
        event("ApprovalSubmitted", smb, id_=f"{name}-{number}", approval_id=f"{name}-{number}", service="Web")
        for number in range(count)
    ]


def callbacks(smb: SmbKey, count: int) -> list[Message]:
    return [event("CallbackReceived", smb, id_=f"call-{number}", call_id=f"c-{number}") for number in range(count)]


async def create(installation: Installation, smb: SmbKey) -> None:
    """Create an SMB with its announcement."""
    created = SMBCreated(
        smb_id=smb.smb_id,
        slug=f"smb-{smb.smb_id}",
        external_id=None,
        business_name="A business",
        primary_email=None,
        primary_phone=None,
        industry_category=None,
        business_description=None,
        community_id=None,
        service_model=None,
        services_activated=(),
        services_approved_pending=(),
        email_opted_in=True,
        sms_opted_in=False,
        rvm_opted_in=False,
        phone_opted_in=False,
        do_not_contact=False,
        created_at=datetime.now(UTC),
    )

    async def act(_transaction: Transaction, _now: datetime) -> Outcome:
        return Outcome(announcements=[Announcement(smb, created)])

    await transact(installation.database, installation.topics, [smb], act)


async def erase_now(installation: Installation, smb: SmbKey) -> None:
    async def act(transaction: Transaction, now: datetime) -> Outcome:
        return await erase(transaction, [smb], now)

    await transact(installation.database, installation.topics, [smb], act)


async def start(installation: Installation) -> list[WorkerProcess]:
    """Start the workers and wait until they are ready."""
    workers = [installation.start(name) for name in NEEDED]
    for worker in workers:
        await eventually(lambda: asyncio.to_thread(is_ready, worker), "the worker is ready")  # noqa: B023  at once
    return workers


def is_ready(worker: WorkerProcess) -> bool:
    return worker.ops("/readyz")[0] == 200


async def stop(workers: Sequence[WorkerProcess]) -> None:
    """SIGTERM to all of them at once."""
    codes = await asyncio.gather(*[asyncio.to_thread(worker.terminate) for worker in workers])
    assert set(codes) <= {0}


async def story(installation: Installation, smb: SmbKey) -> list[tuple[int, int, Any]]:
    """What a reader keeps of an SMB: a higher epoch takes back what the older one told from there on."""
    told = [(int(one["epoch"]), int(one["sequence"]), one["type"]) for one in await installation.announcements(smb)]
    first_of = {epoch: min(number for other, number, _ in told if other == epoch) for epoch, _, _ in told}
    return sorted(one for one in told if all(one[1] < first for epoch, first in first_of.items() if epoch > one[0]))


@dataclass
class Rehearsal:
    """What one test after the other goes through."""

    installation: Installation
    backups: Backups
    backup: str
    taken_at: str
    kept: SmbKey
    doomed: SmbKey
    created: SmbKey
    workers: list[WorkerProcess]

    async def after_restore(self, *options: str) -> dict[str, Any]:
        """Run the command; what it reports."""
        report: dict[str, Any] = (
            await succeeds(self.installation.environment, "after-restore", "--json", *options)
        ).document
        return report

    async def work_it_off(self) -> None:
        """Start the workers, wait until nothing is under way and everything is right, stop them."""
        self.workers = await start(self.installation)
        await self.installation.idle()
        await succeeds(self.installation.environment, "verify")
        await stop(self.workers)


@pytest.fixture(scope="module")
async def rehearsal(stack: Stack, installation: Installation) -> AsyncIterator[Rehearsal]:
    """A backup, then more events, a creation and an erasure, and the workers still run."""
    kept, doomed = await installation.add_smbs(2)
    created = SmbKey(kept.tenant_id, uuid4())
    async with backups_of(stack, installation) as backups:
        workers = await start(installation)
        await installation.publish([*approvals(kept, "before", 3), *approvals(doomed, "before", 3)])
        await installation.idle()
        backup = await backups.take()
        taken_at = datetime.now(UTC).isoformat()
        await installation.publish([*approvals(kept, "after", 2), *callbacks(kept, 3), *approvals(doomed, "after", 1)])
        await create(installation, created)
        await erase_now(installation, doomed)
        await installation.idle()
        yield Rehearsal(installation, backups, backup, taken_at, kept, doomed, created, workers)


async def test_a_database_that_goes_back_stops_running_workers_loudly(rehearsal: Rehearsal) -> None:
    await rehearsal.backups.restore(rehearsal.backup)
    await rehearsal.installation.publish(approvals(rehearsal.kept, "later", 1))
    worker = rehearsal.workers[0]
    await eventually(lambda: is_stopped(worker), "the worker stops")
    assert "smb-crm after-restore" in worker.logged()


async def test_after_restore_refuses_while_workers_run(rehearsal: Rehearsal) -> None:
    ran = await smb_crm(rehearsal.installation.environment, "after-restore")
    assert "are running: stop them first" in ran.failure
    assert await rehearsal.installation.value("SELECT epoch FROM installation") == 1
    await stop(rehearsal.workers)


async def test_a_worker_that_starts_before_after_restore_stops_too(rehearsal: Rehearsal) -> None:
    worker = rehearsal.installation.start("engagement")
    await eventually(lambda: is_stopped(worker), "the worker stops")
    await stop([worker])


async def test_after_restore_raises_the_epoch_erases_again_and_lists_what_only_readers_know(
    rehearsal: Rehearsal,
) -> None:
    report = await rehearsal.after_restore("--backup-taken-at", rehearsal.taken_at)
    assert report["epoch"] == 2
    assert report["erased_again"] == [as_document(rehearsal.doomed)]
    assert report["only_readers_know"] == [as_document(rehearsal.created)]
    assert report["records_to_read_again"] >= 3
    assert report["records_lost_to_retention"] == 0


async def test_then_the_state_equals_a_replay_and_sequences_go_on_under_the_new_epoch(rehearsal: Rehearsal) -> None:
    await rehearsal.work_it_off()
    fetch, kept, doomed = rehearsal.installation.fetch, rehearsal.kept, rehearsal.doomed
    events = await fetch("SELECT event_id FROM engagement_events WHERE smb_id = $1 ORDER BY 1", kept.smb_id)
    ids = [row["event_id"] for row in events]
    assert " ".join(ids) == "after-0 after-1 before-0 before-1 before-2 call-0 call-1 call-2 later-0"
    assert await fetch("SELECT 1 FROM engagement_events WHERE smb_id = $1", doomed.smb_id) == []
    for smb in (kept, doomed):
        told = await story(rehearsal.installation, smb)
        assert [number for _, number, _ in told] == list(range(1, len(told) + 1))
        assert {epoch for epoch, _, _ in told} == {1, 2}
    assert (await story(rehearsal.installation, doomed))[-1][2] == "SMBErased"


async def test_after_restore_again_changes_nothing_but_the_epoch(rehearsal: Rehearsal) -> None:
    before = await story(rehearsal.installation, rehearsal.kept)
    report = await rehearsal.after_restore("--backup-taken-at", rehearsal.taken_at)
    assert (report["epoch"], report["erased_again"]) == (3, [])
    await rehearsal.work_it_off()
    assert await story(rehearsal.installation, rehearsal.kept) == before


async def test_the_same_backup_again_gets_an_epoch_that_no_reader_has_seen(rehearsal: Rehearsal) -> None:
    seen = max(int(one["epoch"]) for one in await rehearsal.installation.announcements())
    await rehearsal.backups.restore(rehearsal.backup)
    report = await rehearsal.after_restore()
    assert report["epoch"] == seen + 1
    assert report["erased_again"] == [as_document(rehearsal.doomed)]
    await rehearsal.work_it_off()


async def test_records_that_waited_long_before_the_backup_are_read_again(
    stack: Stack, installation: Installation
) -> None:
    (smb,) = await installation.add_smbs(1)
    async with backups_of(stack, installation) as backups:
        await publish_at(installation, approvals(smb, "old", 3), datetime.now(UTC) - timedelta(days=2))
        backup = await backups.take()
        workers = await start(installation)
        await installation.idle()
        await stop(workers)
        await backups.restore(backup)
        now = datetime.now(UTC).isoformat()
        out = (await succeeds(installation.environment, "after-restore", "--backup-taken-at", now)).out
        assert "Start the workers now" in out
        workers = await start(installation)
        await installation.idle()
        assert await installation.value("SELECT count(*) FROM engagement_events WHERE smb_id = $1", smb.smb_id) == 3
        await succeeds(installation.environment, "verify")
        await stop(workers)


async def publish_at(installation: Installation, messages: Sequence[Message], moment: datetime) -> None:
    """Publish with a Kafka timestamp of the past."""
    producer = AIOKafkaProducer(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        for one in messages:
            await producer.send_and_wait(
                installation.topics.full_name(one.topic),
                one.value,
                key=one.key,
                headers=list(one.headers),
                timestamp_ms=int(moment.timestamp() * 1000),
            )
    finally:
        await producer.stop()


async def is_stopped(worker: WorkerProcess) -> bool:
    """Alive, not ready, and the metric says so."""
    status, body = await asyncio.to_thread(worker.ops, "/readyz")
    _, metrics = await asyncio.to_thread(worker.ops, "/metrics")
    stopped = 'smb_line_stopped{service="engagement",why="database_went_back"} 1.0' in metrics
    alive = (await asyncio.to_thread(worker.ops, "/livez"))[0] == 200
    return status == 503 and "after-restore" in body and stopped and alive


def as_document(smb: SmbKey) -> dict[str, str]:
    return {"tenant_id": str(smb.tenant_id), "smb_id": str(smb.smb_id)}
