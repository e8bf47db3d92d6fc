"""The local PostgreSQL: started, killed, frozen, and started on what an earlier run left behind."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local import LocalStackError, PostgresServer
from deploy.local.ports import LOOPBACK
from deploy.local.process import is_frozen, is_gone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server of a test lives."""
    return tmp_path / "postgres"


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    """A running server of the test's own."""
    running = PostgresServer(folder, {"max_connections": "20"})
    running.start()
    try:
        yield running
    finally:
        running.thaw()
        running.stop()


def ask(server: PostgresServer, question: str) -> str:
    """Ask in SQL."""
    return server.run_program("psql", "-XqAtc", question)


def test_settings_go_over_the_defaults(server: PostgresServer) -> None:
    assert ask(server, "SHOW max_connections") == "20"


@pytest.mark.parametrize("way", ["kill", "immediate", "in order"])
def test_it_comes_back_on_its_port_with_what_was_committed(server: PostgresServer, way: str) -> None:
    port = server.port
    ask(server, "CREATE TABLE notes AS SELECT 'kept' AS note")

    if way == "kill":
        server.kill()
        assert server.pids() == []
        server.start()
    else:
        server.restart(immediate=way == "immediate")

    assert server.port == port
    assert ask(server, "SELECT note FROM notes") == "kept"


async def test_a_frozen_server_holds_its_connections_and_answers_when_it_is_thawed(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url())
    server.freeze()
    assert all(is_frozen(psutil.Process(pid)) for pid in server.pids())

    with pytest.raises(TimeoutError):
        await connection.execute("SELECT 1", timeout=0.2)
    server.thaw()

    assert ask(server, "SELECT 1") == "1"
    connection.terminate()


async def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url(), password="guess")  # noqa: S106 - a wrong one


def test_a_first_process_that_was_killed_alone_leaves_no_trouble(server: PostgresServer, folder: Path) -> None:
    # Its processes hang, so they do not notice that the first one is gone, and keep its memory in use.
    server.freeze()
    first, *others = (psutil.Process(pid) for pid in server.pids())
    first.kill()
    psutil.wait_procs([first])

    again = PostgresServer(folder)
    again.start()
    again.stop()

    assert all(is_gone(process) for process in others)


def test_a_recorded_id_that_belongs_to_another_program_by_now_is_left_alone(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        (folder / "data").mkdir(parents=True)
        (folder / "server.pid").write_text(str(innocent.pid))
        (folder / "data" / "postmaster.pid").write_text(f"{innocent.pid}\n")

        server = PostgresServer(folder)
        server.start()
        server.stop()

        assert innocent.poll() is None
        innocent.kill()


def test_a_start_that_was_interrupted_half_way_is_begun_anew(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")

    server = PostgresServer(folder)
    server.start()
    assert ask(server, "SELECT current_database()") == "smb_crm"
    server.stop()


def test_data_of_another_version_is_named(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(LocalStackError, match="is of PostgreSQL 16, not 18: delete"):
        PostgresServer(folder).start()


def test_its_port_in_other_hands_is_one_clear_line(server: PostgresServer) -> None:
    server.stop()
    with socket.create_server((LOOPBACK, server.port)):
        with pytest.raises(LocalStackError, match=f"port {server.port} was taken by another program"):
            server.start()
        assert not server.is_running()

    server.start()
    assert ask(server, "SELECT 1") == "1"


def test_a_setting_that_it_refuses_is_told(folder: Path) -> None:
    server = PostgresServer(folder, {"shared_buffers": "a lot"})

    with pytest.raises(LocalStackError, match=r'ended while it started: .*FATAL.*"shared_buffers".*server.log'):
        server.start()
    assert server.pids() == []
