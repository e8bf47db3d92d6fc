"""All workers under load, some killed with -9 again and again, broker and database restarted meanwhile."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import pytest

from deploy.local import Stack
from services.verify.verification import verify
from shared.schemas.policy import Policy
from tests.faults.campaign_scene import campaigns_hold
from tests.faults.campaign_traffic import campaign_traffic
from tests.faults.scene import Load, all_hold, load_on, progressed
from tests.faults.traffic import Mix, traffic
from tests.installation import Installation, trigger

SEED = 20260301
SMALL_BATCH = {"SMB_BATCH_MAX_RECORDS": "25"}
# What is triggered before each outage; the evaluation waits for its day's recalculation.
NIGHTLY = (
    ("RecalculateEngagementScores", "AdvanceManifestDestinyDay"),
    ("RecalculateEngagementScores", "EvaluateTierTransitions"),
)
MIX = Mix(repeated=0.12, contradicting=0.05, late=0.1, broken=0.03)


@pytest.fixture(autouse=True)
def whole(fragile_stack: Stack) -> Iterator[None]:
    """Both servers run again afterwards, whatever happened."""
    yield
    fragile_stack.postgres.start()
    fragile_stack.kafka.start()


async def test_after_every_outage_at_once_nothing_is_lost_doubled_or_out_of_order(
    fragile: Installation, fragile_stack: Stack
) -> None:
    chance = random.Random(SEED)
    smbs = await fragile.add_smbs(30)
    for unknown in smbs[:3]:
        await fragile.fetch("DELETE FROM smbs WHERE id = $1", unknown.smb_id)
    survivors = [fragile.start(name, **SMALL_BATCH) for name in ("engagement", "tier")]
    victims = [fragile.start(name, **SMALL_BATCH) for name in ("engagement", "campaign")]
    over = asyncio.Event()

    async def keep_sending(load: Load) -> int:
        """Publish, in portions that the broker has acknowledged, until the outages are over."""
        for seed in itertools.count(SEED):
            await load.send([*traffic(seed, smbs, 12, MIX), *campaign_traffic(seed, smbs, 4)])
            if over.is_set():
                return seed - SEED
        raise AssertionError

    outages = [fragile_stack.kafka.restart, fragile_stack.postgres.restart]
    async with load_on(fragile) as load:
        sending = asyncio.create_task(keep_sending(load))
        for outage, jobs in zip(outages, NIGHTLY, strict=True):
            await progressed(fragile, chance.randint(30, 90))
            await progressed(fragile, 10, "campaign")
            for victim in victims:
                victim.kill()
            await fragile.publish([trigger(job) for job in jobs])
            await asyncio.to_thread(outage, immediate=True)
            victims = [fragile.start(victim.name, **SMALL_BATCH) for victim in victims]
        await fragile.database.engine.dispose()
        await progressed(fragile, 50)
        await progressed(fragile, 20, "campaign")
        for victim in victims:
            victim.kill()
        over.set()
        assert await sending > 0
        fragile.start("campaign")
        dump = await all_hold(fragile, load)
        campaigns = await campaigns_hold(fragile, dump, load)
    assert dump.copies
    assert dump.letters
    assert campaigns.copies
    assert campaigns.letters
    assert {entry.outcome for entry in campaigns.ledger} >= {"applied", "refused"}
    runs = await fragile.fetch("SELECT name, status = 'finished' AND shards_done = shards_total AS whole FROM job_runs")
    assert sorted(tuple(run) for run in runs) == sorted((job, True) for jobs in NIGHTLY for job in jobs)
    found = await verify(fragile.database, Policy.default())
    assert (found.smbs_checked, found.mismatches) == (len(dump.heads), 0)
    assert [survivor.process.poll() for survivor in survivors] == [None, None]
