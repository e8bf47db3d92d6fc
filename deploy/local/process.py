"""One server as a child process: started, stopped, killed, frozen, and found again after its program was killed."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.errors import LocalStackError

# How often a condition is looked at again while a server starts or stops.
POLL_SECONDS = 0.02
# A process that was killed is gone at once, unless the machine is badly overloaded.
KILL_SECONDS = 30.0
# A signal takes effect when the process leaves the system call that it is in.
FREEZE_SECONDS = 10.0


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Wait for a condition; False when it did not become true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class ServerProcess:
    """A server and the processes that it starts itself.

    It runs in a session of its own, so a Ctrl-C in the terminal does not reach it: the program that started it
    decides when it ends. Its id is recorded in a file, so that the next run finds it when the program was killed.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Name the server; the folder must appear in its command line, by which a recorded process is recognised."""
        self._name = name
        self._folder = folder
        self._pid_file = folder / "server.pid"
        self.log_file = folder / "server.log"
        self._child: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start the server; its output goes to `log_file`, which is begun anew. Does not wait until it is ready."""
        with self.log_file.open("wb") as log:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=dict(environment),
                start_new_session=True,
            )
        self._pid_file.write_text(str(self._child.pid))

    @property
    def pid(self) -> int:
        """The id of the server's first process; raises LocalStackError when it was not started."""
        return self._started().pid

    def pids(self) -> list[int]:
        """Return the ids of all its processes, the first one first; none when it does not run."""
        return [process.pid for process in self._processes()]

    def is_running(self) -> bool:
        """Tell whether the server's first process is alive (a frozen one is)."""
        return self._child is not None and self._child.poll() is None

    def wait_until_ready(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait for the server's readiness.

        Raises LocalStackError with the end of its log when it ends instead, or is not ready in time.
        """
        wait_until(lambda: not self.is_running() or ready(), timeout_seconds)
        if not self.is_running():
            raise LocalStackError(f"{self._name} ended while it started: {self.last_log_line()} (see {self.log_file})")
        if not ready():
            raise LocalStackError(f"{self._name} was not ready after {timeout_seconds:.0f} s (see {self.log_file})")

    def last_log_line(self) -> str:
        """Return the last line that says something of what the server wrote, or "no output"."""
        lines = [line.strip() for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]
        told = [line for line in lines if "FATAL" in line or "ERROR" in line or "Exception" in line]
        return (told or lines or ["no output"])[-1]

    def stop(self, stop_signal: signal.Signals, timeout_seconds: float) -> None:
        """Ask the server to end and wait for it; kill it when it does not. Nothing happens when it does not run."""
        if self.is_running():
            child = self._started()
            self.thaw()
            child.send_signal(stop_signal)
            try:
                child.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End all its processes at once (SIGKILL) and wait until they are gone. Safe when none runs."""
        end_all(self._processes())
        if self._child is not None:
            self._child.wait(KILL_SECONDS)

    def freeze(self) -> None:
        """Stop the time of all its processes (SIGSTOP) until `thaw`; connections stay open and get no answer."""
        # The first process first, so that it starts no further one meanwhile.
        for part in (slice(0, 1), slice(1, None)):
            processes = self._processes()[part]
            for process in processes:
                send(process, signal.SIGSTOP)
            wait_until(lambda: all(is_frozen(process) for process in processes), FREEZE_SECONDS)  # noqa: B023 - at once

    def thaw(self) -> None:
        """Let all its processes go on (SIGCONT). Nothing happens when they run already."""
        for process in reversed(self._processes()):
            send(process, signal.SIGCONT)

    def end_leftover(self, more_pids: Sequence[int] = ()) -> bool:
        """End the server that a killed program left behind; True when there was one.

        Only a process that was recorded (here, or in `more_pids`) and whose command line names the folder is ended.
        """
        ended = False
        for pid in {*recorded_pid(self._pid_file), *more_pids}:
            try:
                process = psutil.Process(pid)
                ours = any(str(self._folder) in part for part in process.cmdline())
                found = [process, *process.children(recursive=True)] if ours else []
            except psutil.Error:
                continue
            end_all(found)
            ended = ended or bool(found)
        self._pid_file.unlink(missing_ok=True)
        return ended

    def _processes(self) -> list[psutil.Process]:
        if not self.is_running():
            return []
        first = psutil.Process(self.pid)
        # Not the process group: PostgreSQL gives each of its processes a group of its own.
        return [first, *first.children(recursive=True)]

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._child is None:
            raise LocalStackError(f"{self._name} was not started")
        return self._child


def recorded_pid(file: Path) -> list[int]:
    """Return the process id on a file's first line; none when there is no such file or number."""
    try:
        return [int(file.read_text().splitlines()[0])]
    except (OSError, ValueError, IndexError):
        return []


def send(process: psutil.Process, what: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        return


def end_all(processes: Sequence[psutil.Process]) -> None:
    """Kill these processes, the first one last, and wait until they are gone.

    The first one is stopped before, so that it starts no other one meanwhile; what it left is then killed before it,
    because nobody could find its children after it.
    """
    if not processes:
        return
    first = processes[0]
    send(first, signal.SIGSTOP)
    for process in [*processes[1:], first]:
        send(process, signal.SIGKILL)
    wait_until(lambda: all(is_gone(process) for process in processes), KILL_SECONDS)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also when nobody has taken note of it yet (in containers nobody may)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_frozen(process: psutil.Process) -> bool:
    """Tell whether a process is stopped; one that has ended counts as well."""
    try:
        return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return True
