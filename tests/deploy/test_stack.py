"""`start_stack`: whose servers are used, and what an earlier run may leave behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import FolderInUseError, LocalStackError, Stack, start_stack
from deploy.local.process import is_gone

# A program that starts the stack, tells its processes and waits; it is killed, or interrupted, by the test.
PROGRAM = """
import signal, sys, time
# Whoever runs the tests in the background lets them ignore Ctrl-C; a program in a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from deploy.local import start_stack

with start_stack(Path(sys.argv[1])) as stack:
    stack.postgres.run_program("psql", "-Xqc", "CREATE TABLE notes AS SELECT 'kept' AS note")
    print(stack.postgres.pids()[0], stack.kafka.pids()[0], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither server is named by the environment."""
    for name in ("SMB_DATABASE_URL", "SMB_KAFKA_BOOTSTRAP_SERVERS", "SMB_LOCAL_STACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(no_settings: None, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The program above in a folder, once its servers run."""
    del no_settings
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        # The program ends its servers when its input ends; one that was killed has left them to the test.


def told_pids(program: "subprocess.Popen[str]") -> list[int]:
    """Wait for the program's line and return the ids of its servers' processes."""
    assert program.stdout is not None
    pids = [int(pid) for pid in program.stdout.readline().split()]
    assert len(pids) == 2
    return pids


def alive(pids: list[int]) -> list[int]:
    """Return those of the processes that run."""
    return [pid for pid in pids if psutil.pid_exists(pid) and not is_gone(psutil.Process(pid))]


def test_both_servers_answer_on_loopback_only(stack: Stack) -> None:
    assert stack.postgres.run_program("psql", "-XAtc", "SELECT current_setting('fsync')") == "on"
    for pid in (stack.postgres.pids()[0], stack.kafka.pids()[0]):
        for connection in psutil.Process(pid).net_connections(kind="inet"):
            assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1"


def test_a_folder_belongs_to_one_running_program(program: "subprocess.Popen[str]", tmp_path: Path) -> None:
    pids = told_pids(program)

    with pytest.raises(FolderInUseError, match=f"in use by the running process {program.pid}"):
        start_stack(tmp_path)
    assert alive(pids) == pids


def test_servers_that_a_killed_program_left_are_ended_and_their_data_is_kept(
    program: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    left = told_pids(program)
    program.kill()
    program.wait()
    assert alive(left) == left

    with start_stack(tmp_path) as stack:
        assert not alive(left)
        assert stack.postgres.run_program("psql", "-XAtc", "SELECT note FROM notes") == "kept"


def test_a_ctrl_c_ends_both_servers(program: "subprocess.Popen[str]") -> None:
    pids = told_pids(program)

    program.send_signal(signal.SIGINT)
    program.wait(60)

    assert not alive(pids)


@pytest.mark.usefixtures("no_settings")
def test_named_servers_are_used_and_left_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMB_DATABASE_URL", "postgresql://db.example/crm")
    monkeypatch.setenv("SMB_KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")

    stack = start_stack(tmp_path / "unused")
    stack.stop()

    assert stack.database_url == "postgresql://db.example/crm"
    assert stack.bootstrap_servers == "kafka.example:9092"
    assert not (tmp_path / "unused").exists()
    with pytest.raises(LocalStackError, match="servers that it may stop and kill"):
        stack.postgres.kill()


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("SMB_DATABASE_URL", "SMB_KAFKA_BOOTSTRAP_SERVERS"),
        ("SMB_KAFKA_BOOTSTRAP_SERVERS", "SMB_DATABASE_URL"),
    ],
)
def test_one_named_server_without_the_other_is_an_error_that_names_the_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, "somewhere")

    with pytest.raises(LocalStackError, match=f"^{given} is set but {missing} is not"):
        start_stack(tmp_path)


@pytest.mark.usefixtures("no_settings")
def test_an_unknown_kind_of_stack_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMB_LOCAL_STACK", "clouds")

    with pytest.raises(LocalStackError, match=r"'clouds'.*`processes`.*`containers`"):
        start_stack(tmp_path)


@pytest.mark.usefixtures("no_settings")
def test_containers_without_an_engine_are_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMB_LOCAL_STACK", "containers")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")

    # In a process of its own, because the Docker client forgets to close a socket.
    result = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)

    last_line = result.stderr.splitlines()[-1]
    assert "LocalStackError: no containers here (" in last_line
    assert "unset SMB_LOCAL_STACK" in last_line


def test_kafka_comes_back_on_its_port_after_a_kill(stack: Stack) -> None:
    port = stack.kafka.port

    stack.kafka.kill()
    assert stack.kafka.pids() == []
    stack.kafka.start()

    assert stack.kafka.port == port
    assert stack.kafka.is_running()


def test_kafka_is_frozen_and_thawed(stack: Stack) -> None:
    stack.kafka.freeze()
    assert [psutil.Process(pid).status() for pid in stack.kafka.pids()] == [psutil.STATUS_STOPPED]

    stack.kafka.thaw()
    assert psutil.STATUS_STOPPED not in [psutil.Process(pid).status() for pid in stack.kafka.pids()]


def test_the_servers_do_not_hear_a_ctrl_c_of_the_terminal(stack: Stack) -> None:
    for pid in (stack.postgres.pids()[0], stack.kafka.pids()[0]):
        assert os.getsid(pid) == pid
