"""Errors sorted once: temporary trouble is retried for ever, a slow batch is halved, all else is a bug of ours."""

import asyncio
import socket
import traceback
from pathlib import Path

import asyncpg
import sqlalchemy.exc
from aiokafka.errors import KafkaError


class RuntimeTrouble(Exception):
    """Anything the runtime itself raises."""


class WrongSettings(RuntimeTrouble):
    """A setting is missing or wrong; the message names it."""


class DatabaseWentBack(RuntimeTrouble):
    """The database stands before what this group has already acknowledged to Kafka: it was restored from a backup."""


class Reconnected(RuntimeTrouble):
    """A connection is new: whether it leads to the database that was known has to be looked at first."""


class LineStopped(RuntimeTrouble):
    """This worker has stopped consuming and waits for a person."""


class Stopping(RuntimeTrouble):
    """The process is shutting down; what is not committed is delivered again later."""


# SQLSTATE classes: connection, rollback (serialization, deadlock), resources, operator intervention, system error.
_TEMPORARY_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_TEMPORARY_CODES = frozenset(
    {
        "25P04",  # transaction_timeout; a batch is halved, one record alone is tried again
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
    # The driver reports a transaction that the server ended as a lost connection, and names the limit as its cause.
    return any(getattr(one, "sqlstate", None) in _TOO_SLOW_CODES for one in _chain(error))


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
    """The error in one line without NUL, at most 500 characters, for a log or a stored reason.

    Of a database's error only the first line: what follows quotes rows and statements, and so people's data.
    """
    told = getattr(error, "orig", None) or error
    text = str(told).partition("\n")[0] if sqlstate(error) is not None else str(told)
    return " ".join(f"{type(error).__name__}: {text}".replace("\x00", "\\0").split())[:500]


def way_of(error: BaseException) -> list[str]:
    """The last calls that led to the error, without any values: a traceback that quotes nobody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]


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
