"""The demo as a whole: its summary, its live view, and that nothing is left of it however it ends."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from deploy.local import Stack
from tests.demo.conftest import Start
from tests.demo.inhabitants import room_of
from tests.demo.running import SMALL, have_ended, workers
from tests.installation import eventually

# What a terminal is told when a program takes the whole screen.
WHOLE_SCREEN = "\x1b[?1049h"
CAMPAIGNS_BEGAN = "running"


async def test_once_ends_with_a_summary_that_adds_up_and_leaves_nothing_of_its_room(
    start: Start, servers: dict[str, str], stack: Stack
) -> None:
    demo = start("--once", *SMALL, environment=servers)
    code = demo.end()
    assert code == 0, demo.written
    lines = demo.written.strip().splitlines()
    assert lines[-1] == "64 of 64 SMBs equal a replay of their events"
    rows = {line.split()[0]: [int(number) for number in re.findall(r"\d+", line)] for line in lines if line.strip()}
    for name in ("events", "commands", "triggers"):
        went_in, *ends = rows[name]
        assert went_in == sum(ends), lines
    assert rows["events"][0] == 800 + 16
    assert rows["events"][2] >= 16  # repeated
    assert rows["events"][5] >= 8  # dead letters: one of each kind
    assert rows["commands"][2:] == [1, 2, 0, 1]  # repeated, refused, erased, dead letters
    assert rows["triggers"] == [3, 3, 0, 0, 0, 0]
    assert await room_of(demo, stack) == []


async def test_a_killed_demo_is_cleared_away_by_the_next_which_ctrl_c_ends_without_a_trace(start: Start) -> None:
    killed = start(*SMALL)
    killed.until(CAMPAIGNS_BEGAN)
    left = killed.descendants()
    assert set(workers(left)) == {"engagement", "tier", "campaign", "records"}
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()

    again = start(*SMALL)
    again.until("Ended 5 processes that a killed demo had left behind")
    again.until(WHOLE_SCREEN)
    again.until(CAMPAIGNS_BEGAN)
    started = again.descendants()
    again.press_ctrl_c()
    again.until("Stopping the workers")
    again.press_ctrl_c()
    assert again.end() == 0, again.written
    assert "Stopping the servers" in again.written
    assert "Everything is stopped" in again.written
    await eventually(lambda: have_ended([*left, *started]), "processes are left")


async def test_a_second_demo_in_the_same_folder_says_what_is_in_the_way_and_ctrl_c_at_the_start_stops_everything(
    start: Start,
) -> None:
    first = start("--once", *SMALL)
    first.until("Starting PostgreSQL")
    started = await eventually(first.descendants, "no server was started")

    second = start("--once", *SMALL)
    assert second.end() == 1
    assert f"is in use by the running process {first.process.pid}: end that one first" in " ".join(
        second.written.split()
    )

    first.press_ctrl_c()
    assert first.end() == 1
    assert "interrupted" in first.written
    await eventually(lambda: have_ended(started), "processes are left")


def test_the_live_view_asks_for_a_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.cli", "demo"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "smb-crm: the live view needs a terminal: use --once (with make: ONCE=1), which prints lines\n"
    )
