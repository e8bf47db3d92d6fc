"""A database and topics of its own for each run of the demo, on servers that are kept.

The servers' folder stays, because filling an empty one takes longer than all else. A run starts with nothing, so that
its numbers are its own. On the demo's own servers the last run stays until the next one begins. On servers that are
somebody else's a run removes itself at its end, and nothing else: there nobody knows whose a name is.
"""

import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.stack import BOOTSTRAP_SERVERS, DATABASE_URL
from shared.runtime.kafka import client_options
from shared.runtime.settings import PREFIX, Settings

DATABASE_PREFIX = "smb_crm_demo_"
# What `choose_room` makes of a moment, and nothing that a person would think of.
LEFT_OVER_DATABASE = re.compile(rf"{DATABASE_PREFIX}(\d{{8}}_\d{{6}}_[0-9a-f]{{4}})", re.ASCII)
LEFT_OVER_TOPIC = re.compile(r"(demo\.\d{8}_\d{6}_[0-9a-f]{4}\.).+", re.ASCII)
# Few, because one machine does everything and each new one takes its moment.
PARTITIONS = 4
CONNECT_SECONDS = 10
KEY_BYTES = 32
# Settings that would lead the workers elsewhere than to the demo's own servers. Each may also come as …_FILE.
NOT_FOR_OWN_SERVERS = ("SMB_KAFKA_", "SMB_DATABASE_", "SMB_TOPIC_")
# The demo asks its workers on loopback and reads their logs; the rest is for other processes or for tests.
NEVER = ("SMB_CRASH_AT", "SMB_HTTP_", "SMB_JOB_NAME", "SMB_JWT_", "SMB_LOG_FORMAT", "SMB_OPS_PORT")


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


def environment(
    room: Room, bootstrap_servers: str, inherited: Mapping[str, str], *, somebody_elses: bool
) -> Mapping[str, str]:
    """What the environment of every process of this run says: the user's own, and the room.

    How to reach somebody else's servers is the user's to say; nothing that is said of them holds for our own.
    """
    left_out = NEVER if somebody_elses else (*NOT_FOR_OWN_SERVERS, *NEVER)
    kept = {name: value for name, value in inherited.items() if not name.startswith(left_out)}
    return (
        {f"{PREFIX}TOPIC_REPLICATION": "1"}
        | kept
        | {
            DATABASE_URL: room.database_url,
            BOOTSTRAP_SERVERS: bootstrap_servers,
            f"{PREFIX}TOPIC_PREFIX": room.topic_prefix,
            f"{PREFIX}TOPIC_PARTITIONS": str(PARTITIONS),
            # For this run alone.
            f"{PREFIX}JWT_KEY": secrets.token_hex(KEY_BYTES),
        }
    )


async def make_room(room: Room) -> None:
    """Create this run's database."""
    async with _administrator(room.server_url) as connection:
        await connection.execute(f'CREATE DATABASE "{room.database}"')


async def remove_room(room: Room, settings: Settings) -> None:
    """Remove one run's database, whoever looks at it, and its topics. Does nothing where there are none."""
    try:
        async with _administrator(room.server_url) as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{room.database}" WITH (FORCE)')
    finally:
        await _delete_topics(settings, lambda topic: topic.startswith(room.topic_prefix))


async def clear_left_overs(server_url: str, settings: Settings) -> None:
    """Remove what earlier runs left on the demo's own servers, except a run whose database somebody looks at now."""
    in_use: set[str] = set()
    async with _administrator(server_url) as connection:
        for (database,) in await connection.fetch("SELECT datname FROM pg_database"):
            if left := LEFT_OVER_DATABASE.fullmatch(database):
                try:
                    await connection.execute(f'DROP DATABASE IF EXISTS "{database}"')
                except asyncpg.ObjectInUseError:
                    in_use.add(_topic_prefix(left[1]))

    def is_left_over(topic: str) -> bool:
        left = LEFT_OVER_TOPIC.fullmatch(topic)
        return left is not None and left[1] not in in_use

    await _delete_topics(settings, is_left_over)


@asynccontextmanager
async def _administrator(server_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server_url, timeout=CONNECT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close()


async def _delete_topics(settings: Settings, chosen: Callable[[str], bool]) -> None:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        if topics := [topic for topic in await admin.list_topics() if chosen(topic)]:
            await admin.delete_topics(topics)
    finally:
        await admin.close()


def _topic_prefix(name: str) -> str:
    return f"demo.{name}."
