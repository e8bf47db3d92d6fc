"""Workers that are killed, join, leave and restart under load: nothing lost, nothing twice, nothing out of order."""

import itertools
import signal
from collections import Counter
from functools import partial

from shared.runtime import crash_points
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from tests.announced import announcement_of
from tests.faults.checker import Dump
from tests.faults.scene import all_hold, load_on, progress, progressed
from tests.faults.traffic import traffic
from tests.installation import Installation, WorkerProcess, eventually

SMALL_BATCH = {"SMB_BATCH_MAX_RECORDS": "20"}
# How many join, and how many leave, in the storm.
STORM = 6


async def some_smbs(installation: Installation, count: int = 20) -> list[SmbKey]:
    """SMBs, and two that their tenants do not have."""
    smbs = await installation.add_smbs(count + 2)
    for smb in smbs[:2]:
        await installation.fetch("DELETE FROM smbs WHERE id = $1", smb.smb_id)
    return smbs


def copies_told(dump: Dump) -> int:
    times = Counter((one.smb, one.epoch, one.sequence) for one in dump.told)
    return sum(count - 1 for count in times.values())


def have_joined(*workers: WorkerProcess) -> bool:
    """Tell whether all have begun to join their groups; what each is given to read may still be open."""
    return all("worker is consuming" in worker.logged() for worker in workers)


async def ready(worker: WorkerProcess) -> None:
    await eventually(lambda: worker.ops("/readyz")[0] == 200, f"{worker.name} is ready")


async def test_workers_killed_at_every_crash_point_lose_and_double_nothing(installation: Installation) -> None:
    """All in one group: whoever still lives takes over, leads the relay, and dies at its own point."""
    smbs = await some_smbs(installation)
    seeds = itertools.count()
    nth = {crash_points.BEFORE_COMMIT: 3, crash_points.AFTER_COMMIT: 3}
    async with load_on(installation) as load:
        await load.send(traffic(next(seeds), smbs, 300))
        victims = [
            installation.start("engagement", SMB_CRASH_AT=f"{point}:{nth.get(point, 1)}", **SMALL_BATCH)
            for point in crash_points.POINTS
        ]

        async def none_lives() -> bool:
            await load.send(traffic(next(seeds), smbs, 5))
            return all(victim.process.poll() is not None for victim in victims)

        await eventually(none_lives, "every one is killed")
        heir = installation.start("engagement")
        dump = await all_hold(installation, load)
    assert [victim.process.returncode for victim in victims] == [-signal.SIGKILL] * len(victims)
    assert dump.events
    assert dump.letters
    assert dump.copies
    # Two died between publishing and deleting.
    assert copies_told(dump) > 0
    assert heir.terminate() == 0


async def test_a_leader_killed_with_a_part_of_its_round_published_leaves_the_story_whole(
    installation: Installation,
) -> None:
    """Two messages of one SMB wait; it dies when the first is published and the second is not."""
    (smb,) = await installation.add_smbs(1)

    async def tell_twice(_transaction: Transaction, _now: object) -> Outcome:
        return Outcome(announcements=[announcement_of(smb), announcement_of(smb)])

    await transact(installation.database, installation.topics, [smb], tell_twice)
    victim = installation.start("engagement", SMB_CRASH_AT=f"{crash_points.AFTER_PUBLISH}:1")
    await eventually(lambda: victim.process.poll() is not None, "the leader is killed")
    assert victim.process.returncode == -signal.SIGKILL
    assert [int(one["sequence"]) for one in await installation.announcements(smb)] == [1]
    assert await installation.value("SELECT count(*) FROM outbox") == 2

    heir = installation.start("engagement")
    dump = await all_hold(installation)
    assert [one.sequence for one in dump.told if one.smb == smb] == [1, 1, 2]
    assert heir.terminate() == 0


async def test_members_that_join_and_leave_in_a_storm_lose_and_double_nothing(installation: Installation) -> None:
    """Nobody waits until the group has settled: in the middle of it the next one joins and the oldest has to go."""
    smbs = await some_smbs(installation)
    members = [installation.start("engagement", **SMALL_BATCH) for _ in range(2)]
    async with load_on(installation) as load:
        for seed in range(200, 200 + STORM):
            await load.send(traffic(seed, smbs, 60))
            members.append(installation.start("engagement", **SMALL_BATCH))
            oldest, before = members[-3:-1]
            await eventually(partial(have_joined, oldest, before), "the one before begins to join")
            oldest.signal(signal.SIGTERM)
        await eventually(lambda: have_joined(members[-1]), "the last one begins to join")
        await all_hold(installation, load)
    assert [member.terminate() for member in members] == [0] * len(members)
    assert not any("Traceback" in member.logged() for member in members)


async def test_a_rolling_restart_under_load_ends_every_worker_with_zero(installation: Installation) -> None:
    smbs = await some_smbs(installation)
    async with load_on(installation) as load:
        old = [installation.start("engagement", **SMALL_BATCH) for _ in range(2)]
        for worker in old:
            await ready(worker)
        new = []
        for seed, worker in enumerate(old):
            await load.send(traffic(300 + seed, smbs, 400))
            await progressed(installation)
            worker.signal(signal.SIGTERM)
            new.append(installation.start("engagement", **SMALL_BATCH))
            assert worker.process.wait(60) == 0
            # Work goes on by itself with those that are left.
            before = await progress(installation)
            await load.send(traffic(310 + seed, smbs, 50))
            assert await progressed(installation) > before
        dump = await all_hold(installation, load)
    assert [worker.terminate() for worker in new] == [0, 0]
    assert not any("Traceback" in worker.logged() for worker in (*old, *new))
    assert dump.events
