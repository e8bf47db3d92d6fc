"""Real servers for all tests: one stack for the session, for each test module a database and topics of its own."""

import itertools
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.local import FolderInUseError, Stack, start_stack
from shared.migrations.runner import migrate
from tests.installation import Installation, installed

SERVERS = Path(__file__).parent.parent / ".local"

# The rooms with the longest files; they come first, so that no process is left alone with one of them at the end.
LONGEST = ("tests/demo/", "tests/faults/", "tests/cli/", "tests/trace/", "tests/engagement/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the rooms with the longest files first; inside a room, the order stays."""
    items.sort(key=lambda item: next((at for at, room in enumerate(LONGEST) if item.nodeid.startswith(room)), 99))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A PostgreSQL and an Apache Kafka for this test session.

    Sessions that run at the same time take different folders; servers of a session that was killed are ended by the
    next one that takes its folder.
    """
    for number in itertools.count(1):
        folder = SERVERS / f"tests-{number}"
        try:
            running = start_stack(folder)
        except FolderInUseError:
            continue
        break
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def template_database(stack: Stack) -> AsyncIterator[str]:
    """The name of a migrated database that others are copied from; nobody connects to it."""
    name = unique_name("template")
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute(f"CREATE DATABASE {name}")
        await migrate(with_database(stack.database_url, name))
        yield name
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def database_url(stack: Stack, template_database: str) -> AsyncIterator[str]:
    """The URL of a migrated, empty database for this module, as the superuser; dropped afterwards."""
    name = unique_name("test")
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield with_database(stack.database_url, name)
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def unmigrated_url(stack: Stack) -> AsyncIterator[str]:
    """The URL of a database without any table for this test; dropped afterwards."""
    name = unique_name("empty")
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute(f"CREATE DATABASE {name}")
    yield with_database(stack.database_url, name)
    async with AdministratorOf(stack.database_url) as administrator:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def topic_prefix() -> str:
    """What stands before the names of this module's topics and groups."""
    return f"{unique_name('test')}."


class AdministratorOf:
    """A connection that may create and drop databases, for the length of a block."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await asyncpg.connect(self._url)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


def unique_name(kind: str) -> str:
    """A name for a database or a prefix that nobody else uses."""
    return f"{kind}_{uuid.uuid4().hex[:12]}"


def with_database(url: str, name: str) -> str:
    """The same server's URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="module")
async def installation(stack: Stack, database_url: str, topic_prefix: str) -> AsyncIterator[Installation]:
    """A database, topics and a place to start workers in, for this module."""
    async with installed(database_url, stack.bootstrap_servers, topic_prefix) as one:
        yield one
