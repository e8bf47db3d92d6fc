"""A file of SMBs uploaded to the API and applied by two records workers, beside a bare COPY of the same file.

Measured up to the last chunk's commit, with every event in the outbox; meanwhile nobody publishes, and the outbox's
drain is measured apart. Bare: a table of text columns without any key, filled by one COPY. At last the file is imported
while workers are killed -9 one after the other, and what it came to and the refused rows are compared.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Self
from uuid import UUID, uuid4

import httpx
import psutil

from benchmarks.import_file import COLUMNS, COMMUNITIES, broken_lines, write_file
from benchmarks.processes import BenchmarkFailed, Worker
from benchmarks.stage import FOLDER, Installation, Stage, until
from benchmarks.table import Goal, Row, Series
from services.api.credentials import mint
from services.api.roles import PREFIX, Role
from shared.runtime.relay import LOCK
from shared.runtime.settings import load_settings

WORKERS = 2
KEY = "a key that is only used by benchmarks, on loopback"
PIECE_BYTES = 256 * 1024
BYTES_IN_A_MEGABYTE = 1_000_000
IMPORT_SECONDS = 3_600
KILLS = 2
PATH = f"{PREFIX}/smbs/import"
MAKE_COMMUNITIES = """
INSERT INTO communities (tenant_id, id, name, slug, state, created_at, updated_at)
SELECT $1, gen_random_uuid(), 'Town ' || n, 'town-' || n, 'NY', now(), now()
FROM generate_series(0, $2::integer - 1) AS n
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import took; the peaks are the most memory that a process had."""

    upload_seconds: float
    seconds: float
    api_megabytes: float
    worker_megabytes: float


async def run(stage: Stage) -> list[Row]:
    """In every round a bare COPY, the import of the same file for a new tenant, and the same file again."""
    rows = stage.sizes.imported_rows
    file = FOLDER / "smbs.csv"
    write_file(file, rows)
    created = rows - len(broken_lines(rows))

    async def fill(installation: Installation) -> None:
        await installation.connection.execute("VACUUM (ANALYZE)")

    installation = await stage.installation("importing", fill)
    bare: list[float] = []
    new: list[Imported] = []
    again: list[Imported] = []
    drains: list[float] = []
    for number in range(1, stage.sizes.import_rounds + 1):
        importing = await _Importing.prepared(stage, installation, file)
        bare.append(await _copy(installation, file))
        new.append(await importing.run(created=created))
        again.append(await importing.run(created=0))
        drains.append(await _drain(stage, installation))
        stage.tell(
            f"  round {number}: COPY {bare[-1]:.1f} s; new {new[-1].seconds:.1f} s (upload"
            f" {new[-1].upload_seconds:.1f} s); again {again[-1].seconds:.1f} s; outbox drained {drains[-1]:.1f} s"
        )
    killed = await (await _Importing.prepared(stage, installation, file)).run(created=created, kills=KILLS)
    await stage.drop("importing")
    file.unlink()
    beside = Series("bare COPY", "s", bare)
    facts = {"rows": rows, "broken": rows - created, "upload_seconds": [one.upload_seconds for one in new]}
    every = [*new, *again, killed]
    return [
        Row("import", Series(f"{rows:,} new rows", "s", [one.seconds for one in new]), beside, Goal(at_most=15), facts),
        Row("import", Series("the same file again", "s", [one.seconds for one in again]), beside, Goal(at_most=5)),
        Row("import", Series(f"new rows, workers killed {KILLS} times", "s", [killed.seconds]), beside),
        Row("import", Series("its events published", "s", drains)),
        Row("import", Series("API, peak", "MB", [max(one.api_megabytes for one in every)]), goal=Goal(at_most=200)),
        Row(
            "import", Series("worker, peak", "MB", [max(one.worker_megabytes for one in every)]), goal=Goal(at_most=200)
        ),
    ]


async def _copy(installation: Installation, file: Path) -> float:
    """The same file into a table of texts, committed."""
    connection = installation.connection
    await connection.execute("DROP TABLE IF EXISTS bare")
    await connection.execute(f"CREATE TABLE bare ({', '.join(f'{name} text' for name in COLUMNS)})")
    await connection.execute("CHECKPOINT")
    began = perf_counter()
    await connection.copy_to_table("bare", source=file, format="csv", header=True)
    seconds = perf_counter() - began
    await connection.execute("DROP TABLE bare")
    return seconds


class _Importing:
    """Imports of one file for one tenant."""

    def __init__(self, stage: Stage, installation: Installation, file: Path) -> None:
        self._processes = stage.processes
        self._installation = installation
        self._connection = installation.connection
        self._file = file
        self._tenant_id = uuid4()
        self._rows = stage.sizes.imported_rows

    @classmethod
    async def prepared(cls, stage: Stage, installation: Installation, file: Path) -> Self:
        """A new tenant, with its communities."""
        made = cls(stage, installation, file)
        await installation.connection.execute(MAKE_COMMUNITIES, made._tenant_id, COMMUNITIES)
        return made

    async def run(self, *, created: int, kills: int = 0) -> Imported:
        """Upload the file and wait for the end of the job, with everything ready before and nobody publishing."""
        environment = self._installation.environment
        await self._connection.execute("CHECKPOINT")
        await self._connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        api = self._processes.api(environment | {"SMB_JWT_KEY": KEY})
        workers = [self._processes.worker(environment, "records") for _ in range(WORKERS)]
        for one in (api, *workers):
            await until(one.is_ready, self._processes)
        async with self._client(api) as http:
            began = perf_counter()
            job_id = await self._upload(http)
            uploaded = perf_counter()
            for kill in range(1, kills + 1):
                await self._wait_for(job_id, kill * self._rows // (kills + 1))
                await self._processes.kill(workers.pop(0))
                workers.append(self._processes.worker(environment, "records"))
            await self._wait_for(job_id, self._rows)
            seconds = perf_counter() - began
            await self._check(http, job_id, created)
        peaks = [_peak_megabytes(one) for one in (api, *workers)]
        await self._processes.end(api, *workers)
        await self._connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
        return Imported(uploaded - began, seconds, peaks[0], max(peaks[1:]))

    def _client(self, api: Worker) -> httpx.AsyncClient:
        settings = load_settings(
            database_url=self._installation.url,
            kafka_bootstrap_servers=self._installation.settings.kafka_bootstrap_servers,
            jwt_key=KEY,
        )
        token = mint(settings, self._tenant_id, Role.OPERATOR, "benchmark", timedelta(hours=2))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=api.url, headers=headers, timeout=IMPORT_SECONDS, trust_env=False)

    async def _upload(self, http: httpx.AsyncClient) -> UUID:
        answer = await http.post(PATH, content=_pieces(self._file), headers={"Content-Type": "text/csv"})
        if answer.is_error:
            message = f"the upload was refused: {answer.text[:200]}"
            raise BenchmarkFailed(message)
        return UUID(answer.json()["id"])

    async def _wait_for(self, job_id: UUID, rows: int) -> None:
        """Wait until so many rows are done; for all of them, until the job has ended."""

        async def is_there() -> bool:
            [job] = await self._connection.fetch("SELECT status, rows_done FROM record_jobs WHERE id = $1", job_id)
            return bool(job["status"] == "finished" or job["rows_done"] >= rows != self._rows)

        await until(is_there, self._processes, IMPORT_SECONDS)

    async def _check(self, http: httpx.AsyncClient, job_id: UUID, created: int) -> None:
        """Every row counts once, and the refused ones are the broken ones, by their lines."""
        [done] = await self._connection.fetch(
            "SELECT created, updated, unchanged, refused FROM record_jobs WHERE id = $1", job_id
        )
        broken = broken_lines(self._rows)
        unchanged = self._rows - created - len(broken)
        told = (await http.get(f"{PATH}/{job_id}/errors")).text.splitlines()[1:]
        lines = [int(line.split(",", 1)[0]) for line in told]
        if tuple(done.values()) != (created, 0, unchanged, len(broken)) or lines != sorted(broken):
            message = f"the import went wrong: {dict(done)}, {len(lines)} refused rows"
            raise BenchmarkFailed(message)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece


async def _drain(stage: Stage, installation: Installation) -> float:
    """Let one worker publish what waits."""
    worker = stage.processes.worker(installation.environment, "records")
    began = perf_counter()

    async def is_empty() -> bool:
        return not await installation.connection.fetchval("SELECT EXISTS (SELECT FROM outbox)")

    await until(is_empty, stage.processes, IMPORT_SECONDS)
    seconds = perf_counter() - began
    await stage.processes.end(worker)
    return seconds


def _peak_megabytes(process: Worker) -> float:
    """The most memory that a process has had so far; where the system does not keep it, what it has now."""
    status = Path(f"/proc/{process.child.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / BYTES_IN_A_MEGABYTE
    resident: int = psutil.Process(process.child.pid).memory_info().rss
    return resident / BYTES_IN_A_MEGABYTE
