"""What a worker's /metrics say after known traffic: everything that Grafana draws and alerts ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.runtime.relay import LOCK as RELAY_LOCK
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.announced import announcement_of
from tests.installation import Installation, Message, WorkerProcess, event, eventually, trigger

TIME = datetime.now(UTC)
JOB = "RecalculateEngagementScores"


def traffic(smb: SmbKey) -> list[Message]:
    """Four events that lead to one announcement, two copies, two bad messages, one trigger (of one shard)."""
    return [
        *(event("CallbackReceived", smb, id_=f"call-{number}", call_id="c", time=TIME) for number in range(4)),
        event("CallbackReceived", smb, id_="call-0", call_id="c", time=TIME),
        event("CallbackReceived", smb, id_="call-0", call_id="another", time=TIME),
        Message("email.opened", b"{"),
        event("EmailOpened", smb),
        trigger(JOB),
    ]


BY_THE_END = {
    'smb_consumed_records_total{service="engagement",topic="callback.received"}': 6,
    'smb_consumed_records_total{service="engagement",topic="email.opened"}': 2,
    'smb_consumed_records_total{service="engagement",topic="smb.schedule"}': 1,
    'smb_consumed_records_total{service="engagement",topic="smb.job-shards"}': 1,
    'smb_applied_inputs_total{service="engagement"}': 4 + 1 + 1,
    'smb_repeated_inputs_total{body="same",service="engagement"}': 1,
    'smb_repeated_inputs_total{body="differs",service="engagement"}': 1,
    'smb_dead_letters_total{reason="not_json",service="engagement"}': 1,
    'smb_dead_letters_total{reason="missing_field",service="engagement"}': 1,
    'smb_batch_records_sum{service="engagement"}': 10,
    'smb_published_messages_total{type="SMBTierChanged"}': 1,
    'smb_published_messages_total{type="SMBEngagementChanged"}': 1,
    f'smb_published_messages_total{{type="{JOB}Shard"}}': 1,
    "smb_commit_to_publish_seconds_count": 3,
    "smb_event_to_published_seconds_count": 1,
    "smb_relay_leader": 1,
    "smb_outbox_messages": 0,
    "smb_outbox_oldest_seconds": 0,
    f'smb_job_shards_done{{job="{JOB}"}}': 1,
    f'smb_job_shards_open{{job="{JOB}"}}': 0,
}


async def test_metrics_tell_what_came_what_became_of_it_and_what_still_waits(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    lag = f'smb_consumer_lag_records{{group="{installation.topics.group("engagement")}"}}'
    await installation.publish(traffic(smb))
    await transact(installation.database, installation.topics, [smb], partial(tell, smb))
    began = datetime.now(UTC)
    async with held_up(installation, smb):
        worker = installation.start("engagement")

        async def waiting() -> dict[str, float]:
            found = await metrics_of(worker)
            return found if found.get(lag, 0) >= 6 and found.get("smb_outbox_messages") == 1 else {}

        found = await eventually(waiting, "the first look has seen what waits")
        assert found["smb_outbox_oldest_seconds"] > 0
        assert found["smb_relay_leader"] == 0

    async def at_rest() -> dict[str, float]:
        found = await metrics_of(worker)
        rests = found.get(lag) == found.get("smb_outbox_messages") == 0
        return found if rests and found.get(f'smb_job_shards_done{{job="{JOB}"}}') else {}

    waited = found["smb_outbox_oldest_seconds"]
    found = await eventually(at_rest, "the next look has seen the end")
    assert {name: found.get(name) for name in BY_THE_END} == BY_THE_END
    batches = found['smb_batch_seconds_count{service="engagement"}']
    assert batches == found['smb_batch_records_count{service="engagement"}'] >= 2
    assert found['smb_batch_seconds_sum{service="engagement"}'] > 0
    assert found["smb_event_to_published_seconds_sum"] > 0
    assert found["smb_commit_to_publish_seconds_sum"] > waited
    finished_at = found[f'smb_job_last_finished_timestamp_seconds{{job="{JOB}"}}']
    assert began.timestamp() < finished_at < datetime.now(UTC).timestamp()
    (build,) = (name for name in found if name.startswith("smb_build_info{"))
    assert f'policy_version="{Policy.default().version}"' in build
    assert 'service="engagement"' in build


@asynccontextmanager
async def held_up(installation: Installation, smb: SmbKey) -> AsyncIterator[None]:
    """Somebody else leads the relay and holds the SMB's head, so that messages and records wait."""
    connection = await asyncpg.connect(installation.settings.database_url.get_secret_value())
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", RELAY_LOCK)
        async with connection.transaction():
            await connection.execute("SELECT FROM smb_heads WHERE smb_id = $1 FOR UPDATE", smb.smb_id)
            yield
    finally:
        await connection.close()


async def tell(smb: SmbKey, _transaction: Transaction, _now: datetime) -> Outcome:
    return Outcome(announcements=[announcement_of(smb)])


async def metrics_of(worker: WorkerProcess) -> dict[str, float]:
    """Each sample by its name and labels; nothing while the worker does not answer yet."""
    status, page = await asyncio.to_thread(worker.ops, "/metrics")
    samples = (one for family in text_string_to_metric_families(page) for one in family.samples) if status else ()
    return {one.name + labels_of(one.labels): one.value for one in samples}


def labels_of(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
