"""Workers and API as a user would run them: a process for each, with its log; found again when a run was killed."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import psutil
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import end_all
from services.demo.errors import DemoFailed
from shared.schemas.topics import SERVICES, Service

COMMAND = ("-m", "services.cli")
API = "api"
PROCESSES: tuple[str, ...] = (*SERVICES, API)
READY_SECONDS = 90.0
POLL_SECONDS = 0.1
# A worker gives its batch 30 s; what is not done by then is delivered again to the next one.
STOP_SECONDS = 40.0
ANSWER_SECONDS = 5.0
# Somebody else may take the port between its choice and the worker's start.
PORT_ATTEMPTS = 3
LAST_LINES = 12
# A proxy that the environment names for the outside must not be asked for loopback.
LOOPBACK_ONLY = build_opener(ProxyHandler({}))


@dataclass(slots=True)
class Worker:
    """One running worker, or the API."""

    name: str
    port: int
    http_port: int
    log: Path
    process: Process

    async def get(self, path: str) -> tuple[int, str]:
        """GET a path of its operations server; status 0 when it does not answer."""
        return await asyncio.to_thread(_get, f"http://{LOOPBACK}:{self.port}{path}")

    def last_lines(self) -> Sequence[str]:
        """The end of its log."""
        return self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]


class Workers:
    """All workers of a run."""

    def __init__(self, folder: Path) -> None:
        self._logs = folder / "logs"
        self._records = folder / "workers"
        self._environment: Mapping[str, str] = {}
        self._running: list[Worker] = []
        self._all_ready = asyncio.Event()

    def end_leftovers(self) -> int:
        """End the workers that a killed run left behind; returns how many there were.

        A process is ended only when it was recorded, started at the recorded moment and has a worker's command line.
        """
        ended = 0
        for record in sorted(self._records.glob("*.pid")):
            try:
                pid, started = record.read_text().split()
                process = psutil.Process(int(pid))
                ours = process.create_time() == float(started) and process.cmdline()[1:3] == list(COMMAND)
            except (OSError, ValueError, psutil.Error):
                ours = False
            if ours:
                end_all([process])
                ended += 1
            record.unlink(missing_ok=True)
        return ended

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start one worker of each service and the API; they wait by themselves for the schema and the topics."""
        for folder in (self._logs, self._records):
            folder.mkdir(parents=True, exist_ok=True)
        self._environment = dict(environment)
        for name in PROCESSES:
            self._running.append(await self._start(name))

    async def ready(self) -> None:
        """Wait until all of them are ready; one whose port was taken meanwhile is started again on another.

        Raises DemoFailed when one ends for another reason or takes too long.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                for place in range(len(self._running)):
                    await self._one_ready(place)
        except TimeoutError:
            raise DemoFailed(f"not ready after {READY_SECONDS:.0f} s: {await self.problems()}") from None
        self._all_ready.set()

    async def watch(self) -> None:
        """Wait for the end of a worker, which nobody asked for. Raises DemoFailed with the end of its log.

        Begins when all are ready: until then `ready` looks after them, and may replace one that ended.
        """
        await self._all_ready.wait()
        waiting = {asyncio.create_task(worker.process.wait()): worker for worker in self._running}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        raise _death(waiting[done.pop()])

    async def stop(self) -> None:
        """End all workers in order (SIGTERM), and those that do not end by force."""
        for worker in self._running:
            if worker.process.returncode is None:
                worker.process.terminate()
        await asyncio.gather(*(self._wait(worker) for worker in self._running))
        self._running.clear()

    async def problems(self) -> str:
        """What the workers themselves say why they are not ready, in one line."""
        answers = [(worker.name, await worker.get("/readyz")) for worker in self._running]
        told = [f"{name}: {body.strip() or 'no answer'}" for name, (status, body) in answers if status != 200]  # noqa: PLR2004
        return "; ".join(told) or "all workers call themselves ready"

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        (api,) = (worker for worker in self._running if worker.name == API)
        return f"http://{LOOPBACK}:{api.http_port}"

    async def counter(self, service: Service, name: str) -> int:
        """What the workers of a service have counted, over all labels."""
        total = 0.0
        for worker in self._running:
            if worker.name != service:
                continue
            _, body = await worker.get("/metrics")
            for family in text_string_to_metric_families(body):
                total += sum(sample.value for sample in family.samples if sample.name == name)
        return int(total)

    async def _start(self, name: str) -> Worker:
        port, http_port = free_port(), free_port()
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            # A session of its own: a Ctrl-C in the terminal is for the demo, which ends the workers in its order.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *COMMAND,
                *([name] if name == API else ["worker", name]),
                env={**self._environment, "SMB_OPS_PORT": str(port), "SMB_HTTP_PORT": str(http_port)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        record = self._records / f"{name}.pid"
        record.write_text(f"{process.pid} {psutil.Process(process.pid).create_time()!r}")
        return Worker(name, port, http_port, log, process)

    async def _one_ready(self, place: int) -> None:
        attempts = 1
        while True:
            worker = self._running[place]
            if worker.process.returncode is not None:
                port_was_taken = any(
                    name in line for line in worker.last_lines() for name in ("SMB_OPS_PORT", "SMB_HTTP_PORT")
                )
                if not port_was_taken or attempts == PORT_ATTEMPTS:
                    raise _death(worker)
                attempts += 1
                self._running[place] = await self._start(worker.name)
            elif (await worker.get("/readyz"))[0] == 200:  # noqa: PLR2004  HTTP's own number
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _wait(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await worker.process.wait()
        except TimeoutError:
            worker.process.kill()
            await worker.process.wait()
        (self._records / f"{worker.name}.pid").unlink(missing_ok=True)


def _death(worker: Worker) -> DemoFailed:
    code = worker.process.returncode
    return DemoFailed(
        f"the worker {worker.name} ended by itself with exit code {code}; its log is {worker.log}", worker.last_lines()
    )


def _get(url: str) -> tuple[int, str]:
    try:
        with LOOPBACK_ONLY.open(url, timeout=ANSWER_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, HTTPException):
        return 0, ""
