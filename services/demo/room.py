"""A database and topics of its own for each run of the demo, on servers that are kept.

The servers' folder stays, because filling an empty one takes longer than all else. A run starts with nothing, so that
its numbers are its own; what earlier runs left is removed first. On the demo's own servers the last run stays until
the next one begins; on servers that are somebody else's it is removed at the end.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.stack import BOOTSTRAP_SERVERS, DATABASE_URL
from shared.runtime.kafka import client_options
from shared.runtime.settings import PREFIX, Settings

DATABASE_PREFIX = "smb_crm_demo_"
# Few, because one machine does everything and each new one takes its moment.
PARTITIONS = 4
CONNECT_SECONDS = 10
# Settings that would lead the workers elsewhere than to the demo's own servers.
NOT_FOR_OWN_SERVERS = ("SMB_KAFKA_", "SMB_DATABASE_", "SMB_TOPIC_")
NEVER = ("SMB_CRASH_AT", "SMB_JOB_NAME", "SMB_OPS_PORT", "SMB_LOG_FORMAT")


@dataclass(frozen=True, slots=True)
class Room:
    """Where one run of the demo lives."""

    server_url: str
    database: str
    topic_prefix: str

    @property
    def database_url(self) -> str:
        """The URL of this run's database."""
        return urlunsplit(urlsplit(self.server_url)._replace(path=f"/{self.database}"))


def choose_room(server_url: str, now: datetime) -> Room:
    """Name a room after the moment; nothing is made yet."""
    name = f"{now:%Y%m%d_%H%M%S}_{secrets.token_hex(2)}"
    return Room(server_url, f"{DATABASE_PREFIX}{name}", _topic_prefix(name))


def are_somebody_elses() -> bool:
    """Tell whether the environment names servers to use."""
    return all(os.environ.get(name) for name in (DATABASE_URL, BOOTSTRAP_SERVERS))


def environment(room: Room, bootstrap_servers: str) -> Mapping[str, str]:
    """What the environment of every process of this run says: the user's own, and the room."""
    replication = "1"
    if are_somebody_elses():
        kept = {name: value for name, value in os.environ.items() if name not in NEVER}
        replication = os.environ.get(f"{PREFIX}TOPIC_REPLICATION", replication)
    else:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith((*NOT_FOR_OWN_SERVERS, *NEVER))
        }
    return kept | {
        DATABASE_URL: room.database_url,
        BOOTSTRAP_SERVERS: bootstrap_servers,
        f"{PREFIX}TOPIC_PREFIX": room.topic_prefix,
        f"{PREFIX}TOPIC_PARTITIONS": str(PARTITIONS),
        f"{PREFIX}TOPIC_REPLICATION": replication,
    }


async def make_room(room: Room) -> None:
    """Create this run's database."""
    connection = await asyncpg.connect(room.server_url, timeout=CONNECT_SECONDS)
    try:
        await connection.execute(f'CREATE DATABASE "{room.database}"')
    finally:
        await connection.close()


async def remove_rooms(server_url: str, settings: Settings) -> None:
    """Remove the databases and topics of all runs, except of one that is using its database now."""
    in_use: set[str] = set()
    connection = await asyncpg.connect(server_url, timeout=CONNECT_SECONDS)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", DATABASE_PREFIX)
        for (database,) in rows:
            try:
                await connection.execute(f'DROP DATABASE IF EXISTS "{database}"')
            except asyncpg.ObjectInUseError:
                in_use.add(_topic_prefix(database.removeprefix(DATABASE_PREFIX)))
    finally:
        await connection.close()
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        topics = [topic for topic in await admin.list_topics() if topic.startswith(_topic_prefix(""))]
        unused = [topic for topic in topics if not topic.startswith(tuple(in_use))]
        if unused:
            await admin.delete_topics(unused)
    finally:
        await admin.close()


def _topic_prefix(name: str) -> str:
    return f"demo.{name}." if name else "demo."
