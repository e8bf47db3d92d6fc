"""Errors sorted once, as the real server raises them: temporary, too slow, or a bug of ours."""

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.runtime.database import Database
from shared.runtime.errors import cause_of, is_temporary, is_too_slow, one_line, sqlstate
from tests.installation import free_port

TEMPORARY = ["08006", "40001", "40P01", "53300", "53100", "57P01", "57P03", "58030", "25P03", "25006", "55P03", "42P01"]
BUGS = ["22012", "23505", "23514", "42703", "42601", "22021"]
TOO_SLOW = ["57014", "25P04"]


async def raised(database: Database, statement: str) -> Exception:
    """What comes back from the pool for a statement that fails."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  any kind: sorting them is what is tested
        async with database.begin() as connection:
            await connection.execute(text(statement))
    return caught.value


async def with_code(database: Database, code: str) -> Exception:
    return await raised(database, f"DO $$ BEGIN RAISE EXCEPTION 'because' USING ERRCODE = '{code}'; END $$")


@pytest.mark.parametrize("code", TEMPORARY)
async def test_trouble_of_the_server_is_temporary(database: Database, code: str) -> None:
    error = await with_code(database, code)
    assert sqlstate(error) == code
    assert is_temporary(error)
    assert not is_too_slow(error)
    assert cause_of(error) == f"sqlstate_{code[:2]}"


@pytest.mark.parametrize("code", BUGS)
async def test_wrong_statements_and_data_are_bugs(database: Database, code: str) -> None:
    assert not is_temporary(await with_code(database, code))


async def test_an_argument_that_the_driver_refuses_is_a_bug(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.begin() as connection:
            await connection.execute(text("SELECT CAST(:number AS integer)"), {"number": "twelve"})
    assert not is_temporary(caught.value)


@pytest.mark.parametrize("code", TOO_SLOW)
async def test_running_out_of_time_asks_for_smaller_parts(database: Database, code: str) -> None:
    assert is_too_slow(await with_code(database, code))


async def test_a_transaction_that_the_server_ends_for_its_length_is_too_slow_though_it_is_a_lost_connection(
    database: Database,
) -> None:
    with pytest.raises(DBAPIError) as caught:  # noqa: PT012  the limit counts from the first statement
        async with database.engine.connect() as connection:
            await connection.execute(text("SET transaction_timeout = '200ms'"))
            await connection.commit()
            await connection.execute(text("SELECT pg_sleep(5)"))
    assert is_too_slow(caught.value)
    assert is_temporary(caught.value)


async def test_a_real_statement_timeout_is_too_slow(database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 10"))
        with pytest.raises(Exception) as caught:  # noqa: PT011  likewise
            await connection.execute(text("SELECT pg_sleep(60)"))
    assert is_too_slow(caught.value)


async def test_a_connection_that_the_server_ends_is_temporary(
    database: Database, administrator: asyncpg.Connection
) -> None:
    async with database.engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await administrator.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(Exception) as caught:  # noqa: PT011  likewise
            await connection.execute(text("SELECT 1"))
    assert is_temporary(caught.value)


async def test_a_server_that_is_not_there_is_temporary() -> None:
    nowhere = Database.create(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    assert is_temporary(await raised(nowhere, "SELECT 1"))
    await nowhere.close()


@pytest.mark.parametrize("error", [KafkaConnectionError(), KafkaTimeoutError(), OSError(), TimeoutError()])
def test_trouble_with_the_network_is_temporary(error: Exception) -> None:
    assert is_temporary(error)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyError("a"), ValueError(), AssertionError(), TypeError()])
def test_what_python_raises_about_our_code_is_a_bug(error: Exception) -> None:
    assert not is_temporary(error)
    assert not is_too_slow(error)


def test_the_cause_of_an_error_counts() -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ConnectionResetError()
    assert is_temporary(wrapped)


def test_an_error_in_one_line_has_neither_nul_nor_line_break_nor_end() -> None:
    shown = one_line(ValueError("a\0b\n  c" + "x" * 1000))
    assert shown.startswith(r"ValueError: a\0b cx")
    assert len(shown) == 500
