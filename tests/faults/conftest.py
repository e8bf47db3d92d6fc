"""Servers that may be killed and frozen: one stack of its own for all modules that do so."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local import FolderInUseError, Stack
from deploy.local.stack import start_processes
from shared.migrations.runner import migrate
from tests.conftest import SERVERS, AdministratorOf, unique_name, with_database
from tests.installation import Installation, installed


@pytest.fixture(scope="session")
def fragile_stack() -> Iterator[Stack]:
    """Servers beside those of the other tests, which nobody else relies on."""
    number = 1
    while True:
        folder = SERVERS / f"fragile-{number}"
        try:
            running = start_processes(folder, lambda _: None, {"log_lock_waits": "on"}, {})
        except FolderInUseError:
            number += 1
        else:
            break
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def fragile(fragile_stack: Stack) -> AsyncIterator[Installation]:
    """An installation for this module on the servers that may break; they run when it begins and when it ends."""
    name = unique_name("fragile")
    url = with_database(fragile_stack.database_url, name)
    async with AdministratorOf(fragile_stack.database_url) as administrator:
        await administrator.execute(f"CREATE DATABASE {name}")
    await migrate(url)
    async with installed(url, fragile_stack.bootstrap_servers, f"{name}.") as one:
        yield one
    async with AdministratorOf(fragile_stack.database_url) as administrator:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
