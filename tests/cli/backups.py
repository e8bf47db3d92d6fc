"""Copies of an installation's database, and its return to one of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from deploy.local import Stack
from tests.conftest import AdministratorOf, unique_name
from tests.installation import Installation


class Backups:
    """Copies of the installation's database, and its return to one of them under everybody's feet."""

    def __init__(self, stack: Stack, installation: Installation) -> None:
        self._stack = stack
        self._pool = installation.database.engine
        self._name = urlsplit(installation.environment["SMB_DATABASE_URL"]).path.removeprefix("/")
        self.names: list[str] = []

    async def take(self) -> str:
        """Copy the database while nobody is connected to it."""
        name = unique_name("backup")
        await self._pool.dispose()
        async with AdministratorOf(self._stack.database_url) as administrator:
            await administrator.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
            await administrator.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", self._name
            )
            await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {self._name}")
            await administrator.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")
        self.names.append(name)
        return name

    async def restore(self, name: str) -> None:
        """Put the database back, whoever uses it."""
        await self._pool.dispose()
        async with AdministratorOf(self._stack.database_url) as administrator:
            await administrator.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
            await administrator.execute(f"CREATE DATABASE {self._name} TEMPLATE {name}")

    async def drop(self) -> None:
        """Remove all copies."""
        async with AdministratorOf(self._stack.database_url) as administrator:
            for name in self.names:
                await administrator.execute(f"DROP DATABASE {name}")


@asynccontextmanager
async def backups_of(stack: Stack, installation: Installation) -> AsyncIterator[Backups]:
    """Backups that are removed at the end of the block."""
    backups = Backups(stack, installation)
    try:
        yield backups
    finally:
        await backups.drop()
