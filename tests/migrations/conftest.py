"""A cluster that nobody migrated yet: its roles do not exist."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import PostgresServer


@pytest.fixture
def fresh_cluster(tmp_path: Path) -> Iterator[PostgresServer]:
    """A running PostgreSQL without our roles."""
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()
