"""Where benchmarks run: real servers in a folder of their own, a database and topics for each purpose."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.processes import BenchmarkFailed, Processes
from benchmarks.sizes import Sizes
from benchmarks.traffic import PARTITIONS
from deploy.local import Stack, start_stack
from shared.migrations.runner import migrate
from shared.runtime.database import Database
from shared.runtime.settings import Settings, load_settings
from shared.runtime.topic_admin import create_topics
from shared.schemas.topics import Topics

FOLDER = Path(__file__).parent.parent / ".local" / "bench"
# The same server for all contestants. What is written is really on disk (fsync), and no checkpoint begins by itself
# while something is measured: one is made before each measurement, so that all meet equally cold pages.
POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "2GB",
    "max_wal_size": "32GB",
    "checkpoint_timeout": "1h",
}
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Installation:
    """One database and one set of topics, as an installation of smb-crm has them."""

    name: str
    url: str
    settings: Settings
    topics: Topics
    environment: dict[str, str]
    database: Database
    connection: asyncpg.Connection

    @property
    def group(self) -> str:
        """The engagement worker's consumer group."""
        return self.topics.group("engagement")


@dataclass(slots=True)
class Stage:
    """What all benchmarks share; `tell` prints a line of progress."""

    stack: Stack
    sizes: Sizes
    tell: Callable[[str], None]
    processes: Processes
    _installations: dict[str, Installation] = field(default_factory=dict)

    async def installation(self, name: str, fill: Callable[[Installation], Awaitable[None]]) -> Installation:
        """The installation of this name; the first who asks makes it, and fills it with data."""
        if name not in self._installations:
            made = await self._install(name)
            self._installations[name] = made
            await fill(made)
        return self._installations[name]

    async def drop(self, name: str) -> None:
        """Give the disk space of an installation back."""
        gone = self._installations.pop(name)
        await gone.database.close()
        await gone.connection.close()
        await self._administer(f"DROP DATABASE bench_{name} WITH (FORCE)")

    async def close(self) -> None:
        """End all processes and close all connections."""
        self.processes.end_all()
        for one in self._installations.values():
            one.connection.terminate()
            await one.database.close()

    async def _install(self, name: str) -> Installation:
        await self._administer(f"DROP DATABASE IF EXISTS bench_{name} WITH (FORCE)", f"CREATE DATABASE bench_{name}")
        url = urlunsplit(urlsplit(self.stack.database_url)._replace(path=f"/bench_{name}"))
        await migrate(url)
        prefix = f"bench-{name}."
        values = {
            "database_url": url,
            "kafka_bootstrap_servers": self.stack.bootstrap_servers,
            "topic_prefix": prefix,
            "topic_partitions": PARTITIONS,
            "topic_replication": 1,
            "kafka_session_timeout_seconds": self.sizes.session_seconds,
            "log_level": "WARNING",
        }
        settings = load_settings(**values)
        await create_topics(settings)
        environment = {f"SMB_{key.upper()}": str(value) for key, value in values.items()}
        connection = await asyncpg.connect(url)
        return Installation(name, url, settings, Topics(prefix), environment, Database.create(url), connection)

    async def _administer(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def servers(sizes: Sizes, tell: Callable[[str], None]) -> Iterator[Stack]:
    """Fresh servers for the length of a block; their folder is removed before and after.

    Raises BenchmarkFailed when the disk is too small, LocalStackError when a server cannot run.
    """
    FOLDER.parent.mkdir(exist_ok=True)
    free_gigabytes = shutil.disk_usage(FOLDER.parent).free / 1e9
    if free_gigabytes < sizes.disk_gigabytes:
        message = f"{FOLDER.parent} has {free_gigabytes:.0f} GB free, {sizes.disk_gigabytes} are needed: make room"
        raise BenchmarkFailed(message)
    stack = start_stack(FOLDER, tell, postgres_settings=POSTGRES_SETTINGS)
    try:
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


@asynccontextmanager
async def stage(stack: Stack, sizes: Sizes, tell: Callable[[str], None]) -> AsyncIterator[Stage]:
    """The stage for the length of a block; everything that was started on it is ended."""
    log_folder = FOLDER / "logs"
    log_folder.mkdir(parents=True, exist_ok=True)
    made = Stage(stack, sizes, tell, Processes(log_folder))
    try:
        yield made
    finally:
        await made.close()


async def server_settings(stack: Stack) -> str:
    """The settings of PostgreSQL that matter for speed, as they are in force."""
    names = [*POSTGRES_SETTINGS, "autovacuum", "wal_compression", "jit"]
    connection = await asyncpg.connect(stack.database_url)
    try:
        values = [f"{name} {await connection.fetchval('SELECT current_setting($1)', name)}" for name in names]
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return f"PostgreSQL {version}: {', '.join(values)}"


async def until(condition: Callable[[], Awaitable[bool]], processes: Processes, seconds: float = 600) -> None:
    """Wait for a condition. Raises BenchmarkFailed when a process ends meanwhile, or it takes too long."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                processes.require_alive()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        message = f"what was waited for did not happen within {seconds:.0f} s"
        raise BenchmarkFailed(message) from None
