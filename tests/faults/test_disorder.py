"""Duplicates, contradictions, disorder, lateness and wrong clocks: the same events make the same state."""

import random
import sys
import sysconfig
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.scene import all_hold, letters, load_on, metric
from tests.faults.traffic import Mix, traffic
from tests.installation import Installation, Message, event

NOW = datetime.now(UTC)
FAKETIME = Path(sysconfig.get_path("purelib")) / "libfaketime" / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


def shifted(days: int) -> dict[str, str]:
    """Environment of a process whose wall clock is off by so many days; its timers run as ever."""
    assert FAKETIME.exists()
    assert sys.platform == "linux"
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{days:+d}d", "DONT_FAKE_MONOTONIC": "1"}


async def test_duplicates_and_contradictions_change_nothing_and_are_counted(installation: Installation) -> None:
    smbs = await installation.add_smbs(10)
    workers = [installation.start("engagement", SMB_BATCH_MAX_RECORDS="30") for _ in range(2)]
    async with load_on(installation) as load:
        for seed in range(2):
            await load.send(traffic(seed, smbs, 300, Mix(repeated=0.4, contradicting=0.2)))
        dump = await all_hold(installation, load)
    pages = [worker.ops("/metrics")[1] for worker in workers]
    counted = {
        body: sum(metric(page, "smb_repeated_inputs_total", body=body) for page in pages)
        for body in ("same", "differs")
    }
    assert len(dump.copies) > 200
    # A batch that came again after a rebalance counts as repeated once more; what differs comes from copies alone.
    assert counted["same"] + counted["differs"] >= len(dump.copies)
    assert counted["differs"] >= await installation.value("SELECT count(*) FROM repeated_inputs WHERE differs") > 0
    assert [worker.terminate() for worker in workers] == [0, 0]


async def test_any_order_of_the_same_events_makes_the_same_state(installation: Installation) -> None:
    smbs = await installation.add_smbs(4)
    worker = installation.start("engagement", SMB_BATCH_MAX_RECORDS="7")
    chance = random.Random(5)
    times = [NOW - timedelta(days=chance.uniform(0, 60)) for _ in range(40)]
    story = [
        (time, type_, data)
        for time, (type_, data) in zip(
            times,
            chance.choices(
                [
                    ("EmailOpened", {"message_id": "m"}),
                    ("ContentViewed", {"content_id": "c"}),
                    ("CallbackReceived", {"call_id": "c"}),
                    ("ApprovalSubmitted", {"approval_id": "a", "service": "s"}),
                ],
                k=len(times),
            ),
            strict=True,
        )
    ]
    async with load_on(installation) as load:
        for number, smb in enumerate(smbs):
            order = sorted(story, key=lambda one: one[0], reverse=number % 2 == 0)
            if number > 1:
                chance.shuffle(order)
            await load.send([event(type_, smb, time=time, **data) for time, type_, data in order])
        dump = await all_hold(installation, load)
    states = [dump.heads[smb] for smb in smbs]
    assert states[0].score > 0
    assert len({(one.score, str(one.last_seen)) for one in states}) == 1
    assert worker.terminate() == 0


async def test_what_is_40_days_late_counts_by_its_own_time(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    late = NOW - timedelta(days=40)
    async with load_on(installation) as load:
        await load.send([event("EmailClicked", smb, time=late, message_id="m", url="https://x.test")])
        await load.send(
            [event("ApprovalSubmitted", smb, time=late, approval_id=f"a-{n}", service="s") for n in range(2)]
        )
        dump = await all_hold(installation, load)
    # Ten points of approvals, 40 days old; the click is out of its window and still the last one.
    assert dump.heads[smb].score == int(10 * 0.5 ** (40 / 30))
    assert dump.heads[smb].last_seen["last_email_click"] == late
    assert worker.terminate() == 0


@pytest.mark.parametrize("days", [40, -40])
async def test_the_database_s_clock_decides_not_the_worker_s(installation: Installation, days: int) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start_in_new_interpreter("engagement", shifted(days))
    timely: list[Message] = [
        event("EmailOpened", smb, message_id="m"),
        event("EmailOpened", smb, time=datetime.now(UTC) + timedelta(minutes=4), message_id="m"),
    ]
    ahead = [
        event("EmailOpened", smb, time=datetime.now(UTC) + timedelta(minutes=15), message_id="m"),
        event("EmailOpened", smb, time=datetime.now(UTC) + timedelta(days=1), message_id="m"),
    ]
    async with load_on(installation) as load:
        await load.send(timely)
        places = await load.send(ahead)
        dump = await all_hold(installation, load)
    head = dump.heads[smb]
    assert head.scored_on in {NOW.date(), datetime.now(UTC).date()}
    assert len([one for one in dump.events if one.smb == smb]) == len(timely)
    assert {one.place for one in await letters(installation)} >= set(places)
    logged = datetime.now(UTC) + timedelta(days=days)
    assert logged.date().isoformat()[:7] in worker.logged()
    assert worker.terminate() == 0
