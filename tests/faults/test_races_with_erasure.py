"""Events while their SMBs are being created and erased: each is counted or erased, and nothing comes back."""

import asyncio
import itertools
import random
import uuid
from datetime import timedelta

import pytest

from services.records import erasure
from services.records.errors import IdErased
from services.verify import verify
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.faults.scene import Load, all_hold, load_on, progressed
from tests.faults.traffic import Mix, traffic
from tests.installation import Installation
from tests.records.desk import RecordsDesk

SEED = 20260419
MIX = Mix(repeated=0.1, contradicting=0.05, broken=0.05)


async def test_events_for_smbs_that_are_created_and_erased_meanwhile_are_counted_or_erased(
    installation: Installation,
) -> None:
    chance = random.Random(SEED)
    url = installation.settings.database_url.get_secret_value()
    desk = RecordsDesk(installation.database, url, topics=installation.topics)
    smbs = [SmbKey(desk.tenant_id, uuid.UUID(int=chance.getrandbits(128))) for _ in range(24)]
    there, coming, never = smbs[:8], smbs[8:16], smbs[16:]
    to_erase = [*there[::2], *coming[::2], *never[::2]]
    await desk.create(*(desk.smb(id=smb.smb_id) for smb in there))
    # What has to wait for a creation is created before it is erased; what comes too late is refused.
    acts = [*(("create", smb) for smb in coming), *(("erase", smb) for smb in to_erase)]
    chance.shuffle(acts)
    over = asyncio.Event()

    async def keep_sending(load: Load) -> None:
        for seed in itertools.count(SEED):
            await load.send(traffic(seed, smbs, 40, MIX))
            if over.is_set():
                return

    installation.start("engagement", SMB_BATCH_MAX_RECORDS="25")
    async with load_on(installation) as load:
        sending = asyncio.create_task(keep_sending(load))
        await progressed(installation, 40)
        refused = 0
        for act, smb in acts:
            if act == "erase":
                await desk.erase(smb)
            else:
                try:
                    await desk.create(desk.smb(id=smb.smb_id))
                except IdErased:
                    refused += 1
            await progressed(installation, chance.randint(1, 12))
        over.set()
        await sending
        await installation.idle()
        await erasure.sweep(installation.database, settled_after=timedelta())
        dump = await all_hold(installation, load)

    assert dump.erased == set(to_erase)
    assert dump.live == {*there, *coming} - dump.erased
    assert 0 < refused < len(coming)
    assert {one.smb for one in dump.events} == set(smbs) - dump.erased
    assert {one.smb for one in dump.told if one.type == "SMBEngagementChanged"} & dump.erased
    assert dump.letters
    found = await verify(installation.database, Policy.default())
    assert (found.smbs_checked, found.mismatches) == (len(smbs), 0)
    for smb in to_erase:
        with pytest.raises(IdErased):
            await desk.create(desk.smb(id=smb.smb_id))
