"""An erasure while everything else happens to its SMB: whoever comes first, nothing is left and nothing comes back."""

import asyncio
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from services.records import erasure
from services.records.errors import IdErased, UnknownSmb
from shared.runtime.database import Database
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk, approval, clicks, decoded, event_of
from tests.verify.examples import differences

ROUNDS = 12


async def test_whatever_races_with_an_erasure_is_gone_with_it_or_refused(
    desk: RecordsDesk, api_desk: RecordsDesk, database: Database
) -> None:
    erased_inputs: Counter[int] = Counter()
    for number in range(ROUNDS):
        request = desk.smb(business_name=f"Shop {number}")
        await desk.create(request)
        acts = [
            desk.apply(clicks(request.key, 10)),
            desk.approve([approval(request.key, "Website")]),
            desk.command(request.key, "StartCampaign", reason="they asked"),
            desk.change(desk.changing(request.key, primary_email="owner@example.test")),
            desk.apply([event_of("CallbackReceived", request.key, call_id="c", phone="+1 555 0100")]),
        ]
        acts.insert(number % 6, (api_desk if number % 2 else desk).erase(request.key))
        results = await asyncio.gather(*acts, return_exceptions=True)
        errors = [one for one in results if isinstance(one, BaseException)]
        assert {type(one) for one in errors} <= {UnknownSmb}, errors
        erased_inputs[sum(getattr(one, "erased", 0) for one in results)] += 1
        told = [decoded(one).type for one in await desk.told(request.key)]
        assert told[-1:] == ["SMBErased"]
        assert told.count("SMBErased") == 1
        assert (await desk.apply(clicks(request.key, 1))).erased == 1
    # Erasures came before, between and after the others: otherwise this has tested nothing.
    assert len(erased_inputs) > 1
    await nothing_is_left(database)


async def test_a_creation_or_restoration_that_races_with_the_erasure_ends_erased_or_is_refused(
    desk: RecordsDesk, database: Database
) -> None:
    ends: Counter[bool] = Counter()
    for number in range(ROUNDS):
        smb = SmbKey(desk.tenant_id, uuid.uuid4())
        request = desk.smb(id=smb.smb_id, business_name=f"Shop {number}")
        if number % 2:
            await desk.create(request)
            await desk.delete(smb)
            act = desk.restore(smb)
        else:
            act = desk.create(request)
        acts = [desk.apply(clicks(smb, 5)), act]
        acts.insert(number % 3, desk.erase(smb))
        results = await asyncio.gather(*acts, return_exceptions=True)
        errors = [one for one in results if isinstance(one, BaseException)]
        assert {type(one) for one in errors} <= {IdErased, UnknownSmb}, errors
        ends[bool(errors)] += 1
        with pytest.raises(IdErased):
            await desk.create(request)
        with pytest.raises(UnknownSmb):
            await desk.restore(smb)
    assert set(ends) == {False, True}
    await nothing_is_left(database)


async def nothing_is_left(database: Database) -> None:
    """As soon as nobody could be writing any more, `verify` looks into every table."""
    await erasure.sweep(database, settled_after=timedelta())
    assert await differences(database) == []
