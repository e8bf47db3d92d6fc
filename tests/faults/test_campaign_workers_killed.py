"""Campaign workers that are killed at every point: each command and each approval is applied once, in its order."""

import itertools
import signal

from services.verify.verification import verify
from shared.runtime import crash_points
from shared.schemas.policy import Policy
from tests.faults.campaign_scene import campaigns_hold
from tests.faults.campaign_traffic import campaign_traffic
from tests.faults.scene import dumped, load_on
from tests.installation import Installation, eventually

SMALL_BATCH = {"SMB_BATCH_MAX_RECORDS": "20"}


async def test_campaign_workers_killed_at_every_crash_point_apply_each_command_once(installation: Installation) -> None:
    """All in one group: whoever still lives takes over, leads the relay, and dies at its own point."""
    smbs = await installation.add_smbs(12)
    await installation.fetch("DELETE FROM smbs WHERE id = $1", smbs[0].smb_id)
    seeds = itertools.count()
    async with load_on(installation) as load:
        await load.send(campaign_traffic(next(seeds), smbs, 300))
        nth = {crash_points.BEFORE_COMMIT: 3, crash_points.AFTER_COMMIT: 3}
        victims = [
            installation.start("campaign", SMB_CRASH_AT=f"{point}:{nth.get(point, 1)}", **SMALL_BATCH)
            for point in crash_points.POINTS
        ]

        async def none_lives() -> bool:
            await load.send(campaign_traffic(next(seeds), smbs, 5))
            return all(victim.process.poll() is not None for victim in victims)

        await eventually(none_lives, "every one is killed")
        heir = installation.start("campaign")
        await installation.idle()
        dump = await campaigns_hold(installation, await dumped(installation), load)
    assert [victim.process.returncode for victim in victims] == [-signal.SIGKILL] * len(victims)
    assert dump.copies
    assert dump.letters
    assert {entry.outcome for entry in dump.ledger} == {"applied", "refused", "waiting"}
    numbers = [(one.smb, one.sequence) for one in dump.told]
    # Two died between publishing and deleting.
    assert len(numbers) > len(set(numbers))
    found = await verify(installation.database, Policy.default())
    assert (found.smbs_checked, found.mismatches) == (len(smbs), 0)
    assert heir.terminate() == 0
