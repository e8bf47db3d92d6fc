"""Processes that are measured: workers as a user starts them, and contestants of ours that begin on a word."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.ports import LOOPBACK, free_port

END_SECONDS = 40
BEGIN = b"begin\n"


class BenchmarkFailed(Exception):
    """A benchmark cannot go on. One line: what is wrong and what to do about it."""


class Process:
    """One child process in a session of its own, so that a Ctrl-C does not reach it; its log is a file."""

    answers = False
    end_signal = signal.SIGTERM

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SMB_")}
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.child = subprocess.Popen(  # noqa: S603  our own programs
                command,
                env={**inherited, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.answers else output,
                stderr=output,
                start_new_session=True,
            )

    def end(self) -> None:
        """Ask it to end in order, and kill it when it does not. Does nothing when it has ended."""
        if self.child.poll() is None:
            self.thaw()
            self.child.send_signal(self.end_signal)
            try:
                self.child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def freeze(self) -> None:
        """Stop its time until `thaw`."""
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.child.send_signal(signal.SIGCONT)

    def last_words(self) -> str:
        """The last line of its log."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1][:300]


class Worker(Process):
    """`smb-crm worker …` or `smb-crm api`; `port` is that of its operations server, `url` that of the API."""

    port: int
    url: str = ""

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of one page of its operations server; status 0 when it does not answer."""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return 0, ""
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\nconnection: close\r\n\r\n".encode())
            answer = (await reader.read()).decode()
            head, _, body = answer.partition("\r\n\r\n")
            return int(head.split()[1]) if head else 0, body
        except OSError:
            return 0, ""
        finally:
            writer.close()

    async def is_ready(self) -> bool:
        """Whether /readyz says 200."""
        return (await self.get("/readyz"))[0] == 200  # noqa: PLR2004  HTTP


class Contestant(Process):
    """A module of this package: it says `ready`, waits for `begin`, measures itself and answers with numbers."""

    answers = True
    # It has nothing to put in order.
    end_signal = signal.SIGKILL

    async def ready(self) -> None:
        """Wait until everything that is not measured is done."""
        await self._read()

    def begin(self) -> None:
        """Let it run."""
        if self.child.stdin is not None:
            self.child.stdin.write(BEGIN)
            self.child.stdin.flush()

    async def result(self) -> float:
        """Wait for its answer."""
        return float(await self._read())

    async def results(self) -> list[float]:
        """Wait for an answer of many numbers."""
        numbers: list[float] = json.loads(await self._read())
        return numbers

    async def _read(self) -> str:
        stream = self.child.stdout
        line = await asyncio.to_thread(stream.readline) if stream is not None else b""
        if not line:
            message = f"{self.name} ended: {self.last_words()}"
            raise BenchmarkFailed(message)
        return line.decode().strip()


class Processes:
    """All child processes of a run."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._started = 0
        self._running: list[Process] = []

    def worker(self, environment: Mapping[str, str], service: str = "engagement") -> Worker:
        """Start a worker."""
        return self._command(environment, "worker", service)

    def api(self, environment: Mapping[str, str]) -> Worker:
        """Start the API."""
        port = free_port()
        api = self._command({**environment, "SMB_HTTP_PORT": str(port)}, "api")
        api.url = f"http://{LOOPBACK}:{port}"
        return api

    def contestant(self, module: str, **arguments: object) -> Contestant:
        """Start `benchmarks.<module>` with arguments, which it gets as JSON."""
        command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(arguments)]
        contestant = Contestant(module, command, {}, self._log(module))
        self._running.append(contestant)
        return contestant

    async def end(self, *processes: Process) -> None:
        """End these, at the same time."""
        await asyncio.gather(*(asyncio.to_thread(process.end) for process in processes))
        self._running = [one for one in self._running if one not in processes]

    async def kill(self, process: Process) -> None:
        """Kill one with -9."""
        process.child.kill()
        await self.end(process)

    def end_all(self) -> None:
        """End whatever still runs."""
        for process in self._running:
            if process.child.poll() is None:
                process.thaw()
                process.child.send_signal(process.end_signal)
        for process in self._running:
            process.end()
        self._running = []

    def require_alive(self) -> None:
        """Raise BenchmarkFailed, with its last words, when a process has ended."""
        for process in self._running:
            if process.child.poll() is not None:
                message = f"{process.name} ended with code {process.child.returncode}: {process.last_words()}"
                raise BenchmarkFailed(message)

    def _command(self, environment: Mapping[str, str], *words: str) -> Worker:
        port = free_port()
        command = [sys.executable, "-m", "services.cli", *words]
        started = Worker(" ".join(words), command, {**environment, "SMB_OPS_PORT": str(port)}, self._log(words[-1]))
        started.port = port
        self._running.append(started)
        return started

    def _log(self, name: str) -> Path:
        self._started += 1
        return self._log_folder / f"{self._started}-{name}.log"


def arguments() -> dict[str, Any]:
    """What a contestant was started with."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def tell_ready_and_wait() -> None:
    """A contestant's side: everything is prepared; wait for the word."""
    answer("ready")
    if sys.stdin.buffer.readline() != BEGIN:
        sys.exit(1)


def answer(what: object) -> None:
    """A contestant's side: one line."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
