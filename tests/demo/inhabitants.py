"""Who lives on the servers: rooms of demos, and what others keep there under names that look alike."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import Stack
from tests.conftest import AdministratorOf
from tests.demo.running import RunningDemo


@asynccontextmanager
async def administrator_of_topics(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that may create and delete topics, for the length of a block."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def living_on(stack: Stack, databases: Sequence[str], topics: Sequence[str]) -> AsyncIterator[None]:
    """These databases and topics for the length of a block; what of them is left is removed afterwards."""
    async with AdministratorOf(stack.database_url) as administrator, administrator_of_topics(stack) as admin:
        try:
            for database in databases:
                await administrator.execute(f'CREATE DATABASE "{database}"')
            await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
            yield
        finally:
            for database in databases:
                await administrator.execute(f'DROP DATABASE IF EXISTS "{database}"')
            await admin.delete_topics([topic for topic in await admin.list_topics() if topic in topics])


async def names_on(stack: Stack) -> set[str]:
    """The names of all databases and topics."""
    async with AdministratorOf(stack.database_url) as administrator:
        databases = await administrator.fetch("SELECT datname FROM pg_database")
    async with administrator_of_topics(stack) as admin:
        return {row[0] for row in databases} | set(await admin.list_topics())


async def room_of(demo: RunningDemo, stack: Stack) -> list[str]:
    """What there is of the database and the topics that a demo named when it took its room."""
    told = re.search(r"Database (\S+), topics (\S+)…", demo.written)
    assert told is not None, demo.written
    database, prefix = told.groups()
    return sorted(name for name in await names_on(stack) if name == database or name.startswith(prefix))
