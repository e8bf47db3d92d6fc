"""The nightly trigger twice, never, late, and two at once: the state is that of now, and no run is done twice."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.checker import check
from tests.faults.scene import all_hold, dumped, letters, load_on
from tests.faults.traffic import traffic
from tests.installation import Installation, Message, trigger

NIGHT = "RecalculateEngagementScores"


@pytest.fixture(scope="module")
async def running(installation: Installation) -> Installation:
    """Two workers that share small shards, and events that some SMBs have."""
    for _ in range(2):
        installation.start("engagement", SMB_SHARD_MAX_SMBS="3")
    smbs = await installation.add_smbs(14)
    async with load_on(installation) as load:
        await load.send(traffic(1, smbs, 200))
        await all_hold(installation, load)
    return installation


async def age(installation: Installation) -> None:
    """A day has passed without a trigger: all scores are said to be those of the day before."""
    await installation.fetch(
        "UPDATE smb_heads SET engagement_scored_on = engagement_scored_on - 1 WHERE engagement_scored_on IS NOT NULL"
    )


async def send(installation: Installation, *messages: Message) -> None:
    await installation.publish(messages)
    await installation.idle()


async def runs(installation: Installation, *ids: str) -> list[tuple[str, bool, bool]]:
    """Name, whether it is finished, and whether each of its shards was done and sent exactly once."""
    rows = await installation.fetch(
        "SELECT name, status = 'finished', shards_done = shards_total AND shards_total ="
        " (SELECT count(*) FROM outgoing_messages AS message WHERE message.key LIKE run.run_id || '/%')"
        " FROM job_runs AS run WHERE trigger_id = ANY($1)",
        ids,
    )
    return [tuple(row) for row in rows]


async def test_without_a_trigger_events_alone_keep_their_smbs_right(running: Installation) -> None:
    await age(running)
    smbs = await running.add_smbs(3)
    async with load_on(running) as load:
        await load.send(traffic(2, smbs, 60))
        await running.idle()
        dump = await dumped(running, load)
    names = [str(smb.smb_id) for smb in smbs]
    assert [one for one in check(dump) if any(name in one for name in names)] == []
    assert {dump.heads[smb].scored_on for smb in smbs} == {datetime.now(UTC).date()}


async def test_a_trigger_that_comes_twice_runs_once(running: Installation) -> None:
    await age(running)
    id_ = uuid.uuid4().hex
    night = trigger(NIGHT, id_=id_)
    await send(running, night, night, trigger(NIGHT, id_=id_, scheduled_for=datetime.now(UTC) - timedelta(hours=3)))
    assert await runs(running, id_) == [(NIGHT, True, True)]
    copies = await running.fetch("SELECT differs FROM repeated_inputs WHERE event_id = $1", id_)
    assert len(copies) == 2
    dump = await all_hold(running)
    assert {dump.heads[smb].scored_on for smb in dump.live} == {datetime.now(UTC).date()}


async def test_two_triggers_at_once_both_run_to_their_end(running: Installation) -> None:
    await age(running)
    ids = [uuid.uuid4().hex for _ in range(2)]
    await send(running, *(trigger(NIGHT, id_=one) for one in ids))
    assert await runs(running, *ids) == [(NIGHT, True, True)] * 2
    await all_hold(running)


async def test_a_late_trigger_takes_nothing_back_in_time(running: Installation) -> None:
    await age(running)
    late = datetime.now(UTC) - timedelta(days=10)
    id_ = uuid.uuid4().hex
    await send(running, trigger(NIGHT, id_=id_, scheduled_for=late, time=late))
    assert await runs(running, id_) == [(NIGHT, True, True)]
    dump = await all_hold(running)
    assert {dump.heads[smb].scored_on for smb in dump.live} == {datetime.now(UTC).date()}


async def test_a_trigger_older_than_its_ledger_counts_as_repeated(running: Installation) -> None:
    id_ = uuid.uuid4().hex
    parked = await letters(running)
    ancient = datetime.now(UTC) - timedelta(days=36)
    await send(running, trigger(NIGHT, id_=id_, scheduled_for=ancient, time=ancient))
    assert await runs(running, id_) == []
    assert await letters(running) == parked


async def test_a_trigger_ahead_of_its_time_is_a_dead_letter(running: Installation) -> None:
    id_ = uuid.uuid4().hex
    parked = await letters(running)
    await send(running, trigger(NIGHT, id_=id_, scheduled_for=datetime.now(UTC) + timedelta(minutes=30)))
    assert await runs(running, id_) == []
    assert len(await letters(running)) == len(parked) + 1
