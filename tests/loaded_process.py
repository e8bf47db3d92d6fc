"""Programs of ours that start without the second of importing: forked from a process that has imported them.

What starts is a process of its own all the same, with an environment, a session, a main module and outputs of its own.
The tests start some hundreds; with a new interpreter each, half of their time would be spent on imports.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "services.cli.main",
        *(f"services.{name}.app" for name in ("engagement", "tier", "campaign", "records")),
        *(f"services.{name}" for name in ("api.server", "trace", "verify", "restore")),
        "shared.runtime.status",
    ]
)


class LoadedProcess:
    """A module run like `python -m MODULE ARGUMENTS`; the methods are those of `subprocess.Popen`."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        """Start it; what it prints is appended to the two files (which may be one)."""
        self._process = CONTEXT.Process(
            target=run, args=(module, list(arguments), dict(environment), str(output), str(errors)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, -N when signal N ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for its end and return the exit code; raises TimeoutError after so many seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


def run(module: str, arguments: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    """Become `python -m MODULE ARGUMENTS`, in the new process."""
    os.setsid()
    for number, path in ((1, output), (2, errors)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    sys.modules.pop(f"{module}.__main__", None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
