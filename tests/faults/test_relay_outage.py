"""The relay while its broker is down: it says so, goes on by itself in order, and leaves no producer behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from deploy.local import Stack
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.line import Line
from shared.runtime.outcome import Announcement, Outcome
from shared.runtime.relay import Relay
from shared.schemas.announcements import SMBErased
from shared.schemas.identity import SmbKey
from tests.installation import Installation, eventually


@pytest.fixture(autouse=True)
def whole(fragile_stack: Stack) -> Iterator[None]:
    """Whatever the test leaves behind, the next one finds the broker running."""
    yield
    fragile_stack.kafka.start()


@asynccontextmanager
async def relay_of(installation: Installation) -> AsyncIterator[Relay]:
    line = Line("engagement")
    relay = Relay(installation.settings, installation.database, line)
    running = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        line.shutting_down.set()
        await running


async def tell(installation: Installation, smbs: list[SmbKey]) -> None:
    async def act(_transaction: Transaction, _now: object) -> Outcome:
        return Outcome(announcements=[Announcement(smb, SMBErased(smb_id=smb.smb_id)) for smb in smbs])

    await transact(installation.database, installation.topics, smbs, act)


async def told(installation: Installation) -> bool:
    return not await installation.fetch("SELECT FROM outbox")


def senders() -> int:
    """How many producers of this process may still send."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return sum(getattr(one, "__qualname__", "") == "Sender._sender_routine" for one in coroutines)


async def test_an_outage_is_told_and_leaves_no_producer_behind(fragile: Installation, fragile_stack: Stack) -> None:
    smbs = await fragile.add_smbs(3)
    before = senders()
    async with relay_of(fragile) as relay:
        await tell(fragile, smbs)
        await eventually(lambda: told(fragile), "told with the broker up")
        assert senders() == before + 1
        await asyncio.to_thread(fragile_stack.kafka.kill)
        for _ in range(3):
            await tell(fragile, smbs)
        await eventually(lambda: relay.trouble, "the relay is in trouble")
        await asyncio.to_thread(fragile_stack.kafka.start)
        await eventually(lambda: told(fragile), "told after the outage")
        assert relay.trouble is None
        assert senders() == before + 1
    assert senders() == before
    found: dict[bytes, list[int]] = {}
    for record in await fragile.read_topic("smb.events"):
        found.setdefault(record.key, []).append(int(dict(record.headers)["ce_sequence"]))
    for smb in smbs:
        assert list(dict.fromkeys(found[str(smb.smb_id).encode()])) == [1, 2, 3, 4]
