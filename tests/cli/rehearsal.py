"""A rehearsal of going back to a backup: what happens before and after it, and the workers that live through it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from services.records.erasure import erase
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBCreated
from shared.schemas.identity import SmbKey
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC, SERVICES
from tests.cli.backups import Backups
from tests.commands import succeeds
from tests.installation import Installation, Message, WorkerProcess, event, eventually


def approvals(smb: SmbKey, name: str, count: int) -> list[Message]:
    """So many approvals of one service, which is called by that name."""
    return [
        event("ApprovalSubmitted", smb, id_=f"{name}-{number}", approval_id=f"{name}-{number}", service=name)
        for number in range(count)
    ]


def callbacks(smb: SmbKey, count: int) -> list[Message]:
    """So many callbacks."""
    return [event("CallbackReceived", smb, id_=f"call-{number}", call_id=f"c-{number}") for number in range(count)]


def commands(smb: SmbKey, *types: str) -> list[Message]:
    """Commands of these types, each with its type as its id."""
    return [event(type_, smb, topic=CAMPAIGN_COMMANDS_TOPIC, id_=type_) for type_ in types]


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
    """Erase an SMB as an operator does."""

    async def act(transaction: Transaction, now: datetime) -> Outcome:
        return await erase(transaction, [smb], now)

    await transact(installation.database, installation.topics, [smb], act)


async def start(installation: Installation) -> list[WorkerProcess]:
    """Start the workers and wait until they are ready."""
    workers = [installation.start(name) for name in SERVICES]
    for worker in workers:
        await eventually(lambda: asyncio.to_thread(is_ready, worker), "the worker is ready")  # noqa: B023  at once
    return workers


def is_ready(worker: WorkerProcess) -> bool:
    """Tell whether it says so."""
    return worker.ops("/readyz")[0] == 200


async def stop(workers: Sequence[WorkerProcess]) -> None:
    """SIGTERM to all of them at once."""
    codes = await asyncio.gather(*[asyncio.to_thread(worker.terminate) for worker in workers])
    assert set(codes) <= {0}


async def campaign_of(installation: Installation, smb: SmbKey) -> tuple[str, str, list[tuple[str, str]]]:
    """Status, pending services, and the history of an SMB's campaign with what caused each step."""
    (row,) = await installation.fetch(
        "SELECT campaign_status, CAST(services_approved_pending AS text) FROM smbs WHERE (tenant_id, id) = ($1, $2)",
        *smb,
    )
    steps = await installation.fetch(
        "SELECT caused_by, outcome FROM campaign_transitions WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY id", *smb
    )
    return *row, [tuple(step) for step in steps]


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
    stopped = f'smb_line_stopped{{service="{worker.name}",why="database_went_back"}} 1.0' in metrics
    alive = (await asyncio.to_thread(worker.ops, "/livez"))[0] == 200
    return status == 503 and "after-restore" in body and stopped and alive


def as_document(smb: SmbKey) -> dict[str, str]:
    """An SMB as the command's report names it."""
    return {"tenant_id": str(smb.tenant_id), "smb_id": str(smb.smb_id)}
