"""Demos that a test starts, and the servers of somebody who has some."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import Stack
from tests.demo.running import RunningDemo

Start = Callable[..., RunningDemo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts demos in one folder."""
    running: list[RunningDemo] = []

    def begin(*options: str, environment: dict[str, str] | None = None) -> RunningDemo:
        running.append(RunningDemo(tmp_path, *options, environment=environment))
        return running[-1]

    yield begin
    for demo in running:
        demo.clear_away()


@pytest.fixture
def servers(stack: Stack) -> dict[str, str]:
    """The environment of somebody who has servers."""
    return {"SMB_DATABASE_URL": stack.database_url, "SMB_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers}
