"""The broker is killed, the database restarts or freezes: the workers stay alive, say so, and go on by themselves."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from deploy.local import Stack
from tests.faults.scene import all_hold, load_on, metric, progressed
from tests.faults.traffic import traffic
from tests.installation import Installation, WorkerProcess, eventually


@pytest.fixture(autouse=True)
def whole(fragile_stack: Stack) -> Iterator[None]:
    """Whatever a test leaves behind, the next one finds both servers running."""
    yield
    fragile_stack.postgres.thaw()
    fragile_stack.postgres.start()
    fragile_stack.kafka.start()


@pytest.fixture(scope="module")
async def worker(fragile: Installation) -> WorkerProcess:
    """One worker for all outages, with batches so small that an outage meets it at work."""
    one = fragile.start("engagement", SMB_BATCH_MAX_RECORDS="20")
    await eventually(lambda: one.ops("/readyz")[0] == 200, "ready")
    return one


async def test_a_broker_that_is_killed_and_comes_back_costs_nothing(
    fragile: Installation, fragile_stack: Stack, worker: WorkerProcess
) -> None:
    smbs = await fragile.add_smbs(20)
    async with load_on(fragile) as load:
        await load.send(traffic(1, smbs, 400))
        await progressed(fragile)
        await asyncio.to_thread(fragile_stack.kafka.kill)
        # What is published during the outage waits in the publisher.
        during = asyncio.create_task(load.send(traffic(2, smbs, 200)))
        status, body = await eventually(lambda: unready(worker), "readiness is red")
        assert status == 503
        assert {"relay", "watch"} & json.loads(body)["problems"].keys()
        assert worker.ops("/livez")[0] == 200
        await eventually(lambda: metric(worker.ops("/metrics")[1], "smb_ready") == 0, "the gauge says so")
        await asyncio.to_thread(fragile_stack.kafka.start)
        await during
        await eventually(lambda: worker.ops("/readyz")[0] == 200, "ready again")
        await all_hold(fragile, load)
    assert worker.process.poll() is None


async def test_a_database_that_restarts_again_and_again_costs_nothing(
    fragile: Installation, fragile_stack: Stack, worker: WorkerProcess
) -> None:
    smbs = await fragile.add_smbs(20)
    async with load_on(fragile) as load:
        for seed in range(3):
            await load.send(traffic(10 + seed, smbs, 200))
            await progressed(fragile)
            await asyncio.to_thread(fragile_stack.postgres.restart, immediate=True)
            # Those of this test; the worker finds out by itself.
            await fragile.database.engine.dispose()
        await all_hold(fragile, load)
    assert worker.process.poll() is None
    assert metric(worker.ops("/metrics")[1], "smb_retries_total") > 0


async def test_a_frozen_database_turns_readiness_red_and_work_goes_on_afterwards(
    fragile: Installation, fragile_stack: Stack, worker: WorkerProcess
) -> None:
    smbs = await fragile.add_smbs(20)
    async with load_on(fragile) as load:
        await load.send(traffic(20, smbs, 200))
        await progressed(fragile)
        await asyncio.to_thread(fragile_stack.postgres.freeze)
        status, body = await eventually(lambda: unready(worker), "readiness is red")
        assert status == 503
        assert "database" in json.loads(body)["problems"]
        assert worker.ops("/livez")[0] == 200
        await asyncio.to_thread(fragile_stack.postgres.thaw)
        await eventually(lambda: worker.ops("/readyz")[0] == 200, "ready again")
        await all_hold(fragile, load)


def unready(worker: WorkerProcess) -> tuple[int, str] | None:
    status, body = worker.ops("/readyz")
    return (status, body) if status not in {0, 200} else None
