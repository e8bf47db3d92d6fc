"""A worker that is stopped for longer than everybody waits, and then goes on: it changes nothing any more."""

import signal

import asyncpg

from tests.faults.altered_worker import IMPATIENT, PROGRAM
from tests.faults.scene import all_hold, load_on, metric
from tests.faults.traffic import traffic
from tests.installation import Installation, WorkerProcess, eventually

# Heads that wait, seen from outside.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def leads(worker: WorkerProcess) -> bool:
    return metric(worker.ops("/metrics")[1], "smb_relay_leader") == 1


async def test_a_worker_frozen_in_the_middle_of_a_transaction_changes_nothing_when_it_wakes(
    installation: Installation,
) -> None:
    """It holds heads, partitions and the relay's lock; all three go to the other one, and stay there."""
    smbs = await installation.add_smbs(12)
    zombie = installation.start("engagement", PROGRAM, ALTERED=IMPATIENT, SMB_BATCH_MAX_RECORDS="50")
    await eventually(lambda: leads(zombie), "the first worker leads")
    other = installation.start("engagement", SMB_BATCH_MAX_RECORDS="50")
    await eventually(lambda: other.ops("/readyz")[0] == 200, "the other one is ready")

    blocker = await asyncpg.connect(installation.settings.database_url.get_secret_value())
    async with load_on(installation) as load:
        async with blocker.transaction():
            await blocker.execute("SELECT FROM smb_heads ORDER BY tenant_id, smb_id FOR UPDATE")
            await load.send(traffic(1, smbs, 200))
            # Both are in the middle of a batch and wait for the heads.
            await eventually(lambda: installation.value(f"{WAITING} HAVING count(*) >= 2"), "both wait for heads")
            zombie.signal(signal.SIGSTOP)
        await blocker.close()
        await eventually(lambda: leads(other), "the relay's lock is free again")
        await installation.idle()
        before = await all_hold(installation, load)

        zombie.signal(signal.SIGCONT)
        await eventually(lambda: zombie.ops("/readyz")[0] == 200, "the zombie is back in the group")
        assert await all_hold(installation, load) == before

        await load.send(traffic(2, smbs, 100))
        await all_hold(installation, load)
    assert leads(other)
    assert not leads(zombie)
    assert (zombie.terminate(), other.terminate()) == (0, 0)
