"""A worker as a user would run it: a process of its own."""

import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from tests.loaded_process import LoadedProcess

# How long anything may take before a test gives up; generous, because machines are slow and shared.
PATIENCE_SECONDS = 90
# Below those that Linux gives to outgoing connections, of which there are many while a worker starts.
PORTS = range(20_000, 32_000)


class NotFollowed(HTTPRedirectHandler):
    """Gives a redirect as it is: a probe takes one for success."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


class WorkerProcess:
    """A worker as a user would run it: a process of its own."""

    def __init__(  # noqa: PLR0913  what runs, with what, and where its output goes
        self,
        name: str,
        environment: Mapping[str, str],
        log: Path,
        module: str = "services.cli",
        arguments: Sequence[str] = ("worker",),
        *,
        in_new_interpreter: bool = False,
    ) -> None:
        """Start `python -m MODULE ARGUMENTS NAME`; some variables count only when a new interpreter begins."""
        self.name = name
        self.log = log
        self.environment = dict(environment)
        self.process: LoadedProcess | subprocess.Popen[bytes]
        with log.open("ab") as output:
            if in_new_interpreter:
                command = [sys.executable, "-m", module, *arguments, name]
                self.process = subprocess.Popen(
                    command, env=self.environment, stdout=output, stderr=output, start_new_session=True
                )
            else:
                self.process = LoadedProcess(module, [*arguments, name], self.environment, log, log)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Send kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def terminate(self) -> int:
        """SIGTERM, and wait; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def ops(self, path: str) -> tuple[int, str]:
        """GET a path of the operations server; status 0 when it does not answer."""
        url = f"http://127.0.0.1:{self.environment['SMB_OPS_PORT']}{path}"
        try:
            with build_opener(ProxyHandler({}), NotFollowed()).open(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except URLError as error:
            return getattr(error, "code", 0) or 0, error.read().decode() if hasattr(error, "read") else ""
        except OSError:
            return 0, ""

    def logged(self) -> str:
        """Everything that it has logged so far."""
        return self.log.read_text(errors="replace")


def free_port() -> int:
    """A port that nobody listens on now, and that no outgoing connection is given before it is listened on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
