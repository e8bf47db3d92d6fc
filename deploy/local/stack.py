"""The two servers together: our own, somebody else's by settings, or containers."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Self

from deploy.local.errors import LocalStackError
from deploy.local.folder import FolderLock
from deploy.local.kafka import KafkaServer
from deploy.local.postgres import PostgresServer

DATABASE_URL = "SMB_DATABASE_URL"
BOOTSTRAP_SERVERS = "SMB_KAFKA_BOOTSTRAP_SERVERS"
CHOICE = "SMB_LOCAL_STACK"


class Stack:
    """A PostgreSQL and an Apache Kafka that can be used until `stop`."""

    def __init__(
        self,
        database_url: str,
        bootstrap_servers: str,
        stop: Callable[[], None],
        own: tuple[PostgresServer, KafkaServer] | None = None,
        *,
        is_somebody_elses: bool = False,
    ) -> None:
        """Describe running servers: how to end them, and the servers where they are our own child processes.

        On servers that are somebody else's others may keep what is dear to them, under any name.
        """
        self.is_somebody_elses = is_somebody_elses
        self.database_url = database_url
        self.bootstrap_servers = bootstrap_servers
        self._stop = stop
        self._own = own

    @property
    def postgres(self) -> PostgresServer:
        """Our own database server; raises LocalStackError where the stack is somebody else's or a container."""
        return self._own_servers()[0]

    @property
    def kafka(self) -> KafkaServer:
        """Our own broker; raises LocalStackError where the stack is somebody else's or a container."""
        return self._own_servers()[1]

    def stop(self) -> None:
        """End what `start_stack` started; somebody else's servers go on. A second call does nothing."""
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _own_servers(self) -> tuple[PostgresServer, KafkaServer]:
        if self._own is None:
            raise LocalStackError(f"this needs servers that it may stop and kill: unset {DATABASE_URL} and {CHOICE}")
        return self._own


def start_stack(
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    postgres_settings: Mapping[str, str] | None = None,
    kafka_settings: Mapping[str, str] | None = None,
) -> Stack:
    """Return running servers with their data in a folder, and tell each step in a line to `progress`.

    Where SMB_DATABASE_URL and SMB_KAFKA_BOOTSTRAP_SERVERS are set, those servers are used and nothing is started.
    SMB_LOCAL_STACK=containers starts both with testcontainers. Otherwise both run as child processes, until `stop`;
    what an earlier run left behind in the folder is ended or used again. Settings go over the servers' defaults.

    Blocks for seconds, so call it before an event loop runs. Raises LocalStackError with one line that says what to
    do; nothing is left running then, nor after a Ctrl-C.
    """
    given = {name: os.environ.get(name, "") for name in (DATABASE_URL, BOOTSTRAP_SERVERS)}
    missing = [name for name, value in given.items() if not value]
    choice = os.environ.get(CHOICE, "processes")
    if not missing:
        progress("Using the servers of SMB_DATABASE_URL and SMB_KAFKA_BOOTSTRAP_SERVERS")
        return Stack(given[DATABASE_URL], given[BOOTSTRAP_SERVERS], stop=lambda: None, is_somebody_elses=True)
    if len(missing) == 1:
        present = next(name for name in given if name not in missing)
        raise LocalStackError(f"{present} is set but {missing[0]} is not: set both, or neither for local servers")
    if choice == "containers":
        from deploy.local.containers import start_containers  # noqa: PLC0415 - testcontainers may not be installed

        return start_containers(progress)
    if choice != "processes":
        raise LocalStackError(f"{CHOICE} is {choice!r}: it may be `processes` (the default) or `containers`")
    return start_processes(folder, progress, postgres_settings or {}, kafka_settings or {})


def start_processes(
    folder: Path,
    progress: Callable[[str], None],
    postgres_settings: Mapping[str, str],
    kafka_settings: Mapping[str, str],
) -> Stack:
    """Start both servers as child processes, at the same time; see `start_stack`."""
    lock = FolderLock(folder)
    postgres = PostgresServer(folder / "postgres", postgres_settings)
    kafka = KafkaServer(folder / "kafka", kafka_settings, progress)

    def stop() -> None:
        """End both at the same time and let the folder go, also when one of them fails to end."""
        try:
            at_once(postgres.stop, kafka.stop)
        finally:
            lock.release()

    try:
        progress("Starting PostgreSQL 18 and Apache Kafka 4.3")
        at_once(postgres.start, kafka.start)
    except BaseException:
        stop()
        raise
    progress(f"PostgreSQL listens on port {postgres.port}, Apache Kafka on port {kafka.port}")
    return Stack(postgres.url(), kafka.bootstrap_servers, stop, (postgres, kafka))


def at_once(*acts: Callable[[], None]) -> None:
    """Do these at the same time and wait for all; then raise the first error that one of them met.

    A Ctrl-C meanwhile is raised when all have ended, so that nothing is still being started while it is stopped.
    """
    with ThreadPoolExecutor(max_workers=len(acts)) as threads:
        running = [threads.submit(act) for act in acts]
        wait(running)
    for act in running:
        act.result()
