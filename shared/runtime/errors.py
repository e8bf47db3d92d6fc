"""Errors sorted once: temporary trouble is retried for ever, a slow batch is halved, all else is a bug of ours."""

import asyncio
import socket

import asyncpg
import sqlalchemy.exc
from aiokafka.errors import KafkaError


class RuntimeTrouble(Exception):
    """Anything the runtime itself raises."""


class WrongSettings(RuntimeTrouble):
    """A setting is missing or wrong; the message names it."""


class DatabaseWentBack(RuntimeTrouble):
    """The database stands before what this group has already acknowledged to Kafka: it was restored from a backup."""


class LineStopped(RuntimeTrouble):
    """This worker has stopped consuming and waits for a person."""


class Stopping(RuntimeTrouble):
    """The process is shutting down; what is not committed is delivered again later."""


# SQLSTATE classes: connection, rollback (serialization, deadlock), resources, operator intervention, system error.
_TEMPORARY_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_TEMPORARY_CODES = frozenset(
    {
        "25P03",  # idle_in_transaction_session_timeout ended us while we were frozen
        "25006",  # read-only: a failover is under way
        "55P03",  # lock not available
        "42P01",  # a table is missing: a restore is under way, or migrations have not run yet
        "3D000",  # the database is missing: likewise
        "42501",  # rights are missing: likewise, grants come last in a restore
    },
)
_TOO_SLOW_CODES = frozenset({"25P04", "57014"})  # transaction_timeout, a cancelled statement


def sqlstate(error: BaseException) -> str | None:
    """Five characters of PostgreSQL's error code, or None for an error that is not from PostgreSQL."""
    for candidate in _chain(error):
        code = getattr(candidate, "sqlstate", None)
        if isinstance(code, str):
            return code
    return None


def is_too_slow(error: BaseException) -> bool:
    """Tell whether the transaction ran out of time: fewer records at once may succeed."""
    return sqlstate(error) in _TOO_SLOW_CODES


def is_temporary(error: BaseException) -> bool:
    """Tell whether the same work may succeed later without anybody changing anything."""
    code = sqlstate(error)
    if code is not None:
        return code[:2] in _TEMPORARY_CLASSES or code in _TEMPORARY_CODES
    return any(_is_connection_trouble(candidate) for candidate in _chain(error))


def cause_of(error: BaseException) -> str:
    """A short word for metrics: the SQLSTATE class, or the error's class."""
    code = sqlstate(error)
    return f"sqlstate_{code[:2]}" if code else type(error).__name__


def one_line(error: BaseException) -> str:
    """The error in one line without NUL, at most 500 characters, for a log or a stored reason."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\\0")
    return " ".join(text.split())[:500]


def _is_connection_trouble(error: BaseException) -> bool:
    return isinstance(
        error,
        (
            OSError,
            TimeoutError,
            asyncio.TimeoutError,
            socket.gaierror,
            KafkaError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            sqlalchemy.exc.TimeoutError,
            sqlalchemy.exc.InterfaceError,
        ),
    ) or (isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = getattr(current, "orig", None) or current.__cause__
    return chain
