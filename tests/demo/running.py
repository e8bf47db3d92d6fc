"""The demo as a user runs it: a process in a folder of its own, in a terminal or not."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import psutil

from tests.installation import PATIENCE_SECONDS

READ_BYTES = 65_536
# Options of a demo that is over soon.
SMALL = ("--smbs", "60", "--events", "800")


class RunningDemo:
    """`smb-crm demo` in a folder; everything that it writes is kept."""

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self._output = b""
        self._reading, writing = pty.openpty()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMB_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "demo", *options],
            cwd=folder,
            env={**inherited, **(environment or {}), "TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
            stdin=writing,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
        os.close(writing)

    def until(self, words: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until it has written these words; returns everything written so far. Fails the test otherwise."""
        deadline = monotonic() + seconds
        while words not in self.written:
            assert self._read(deadline - monotonic()), f"{words!r} is not in: {self.written}"
        return self.written

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return the exit code."""
        deadline = monotonic() + seconds
        while self._read(deadline - monotonic()):
            pass
        return self.process.wait(max(0.1, deadline - monotonic()))

    def press_ctrl_c(self) -> None:
        """What a terminal sends at Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def descendants(self) -> list[psutil.Process]:
        """The processes that it has started, and those that they have."""
        return psutil.Process(self.process.pid).children(recursive=True)

    @property
    def written(self) -> str:
        """Everything that it has written so far."""
        return self._output.decode(errors="replace").replace("\r\n", "\n")

    def _read(self, seconds: float) -> bool:
        """Read once; False when the time is up or nobody writes any more."""
        ready, _, _ = select.select([self._reading], [], [], max(0, seconds))
        if not ready:
            return False
        try:
            read = os.read(self._reading, READ_BYTES)
        except OSError:  # Linux says so when the last writer has closed its end
            return False
        self._output += read
        return bool(read)

    def clear_away(self) -> None:
        """End it and all that it started, whatever happened."""
        for process in [*self.descendants(), psutil.Process(self.process.pid)] if self.process.poll() is None else []:
            process.kill()
        self.process.wait(PATIENCE_SECONDS)
        os.close(self._reading)


def workers(processes: list[psutil.Process]) -> dict[str, psutil.Process]:
    """Those of the processes that are workers, by name."""
    lines = [(process, process.cmdline()) for process in processes]
    return {line[-1]: process for process, line in lines if "worker" in line}


def have_ended(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs any more; one that nobody has taken note of counts as ended."""
    return all(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in processes)
