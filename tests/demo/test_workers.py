"""The demo's workers as processes: what becomes of one whose port is taken, and of one that dies."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from services.demo.ending import guarded
from services.demo.errors import DemoFailed
from services.demo.workers import Workers
from tests.installation import Installation

KEY = "a key that is only used by tests, and long enough"


@pytest.fixture
async def workers(installation: Installation, tmp_path: Path) -> AsyncIterator[Workers]:
    """Workers of a run that were just started."""
    started = Workers(tmp_path)
    await started.start(installation.environment | {"SMB_JWT_KEY": KEY})
    yield started
    await started.stop()


def process_of(name: str, folder: Path) -> psutil.Process:
    """The process that is recorded for a worker."""
    pid, _ = (folder / "workers" / f"{name}.pid").read_text().split()
    return psutil.Process(int(pid))


def port_of(process: psutil.Process) -> int:
    """Where its operations server is to listen."""
    return int(process.environ()["SMB_OPS_PORT"])


async def test_a_worker_whose_port_somebody_else_takes_is_replaced_and_the_replacement_watched_too(
    workers: Workers, tmp_path: Path
) -> None:
    first = process_of("engagement", tmp_path)
    with socket.create_server(("127.0.0.1", port_of(first))) as somebody_else:
        await guarded(workers.ready(), workers.watch())

        second = process_of("engagement", tmp_path)
        assert not first.is_running()
        assert port_of(second) != somebody_else.getsockname()[1]
    assert await workers.problems() == "all workers call themselves ready"

    second.kill()
    with pytest.raises(DemoFailed, match="the worker engagement ended by itself with exit code -9"):
        await workers.watch()


async def test_a_worker_that_dies_before_all_are_ready_is_told_with_its_exit_code(
    workers: Workers, tmp_path: Path
) -> None:
    process_of("tier", tmp_path).kill()

    with pytest.raises(DemoFailed, match="the worker tier ended by itself with exit code -9"):
        await guarded(workers.ready(), workers.watch())
