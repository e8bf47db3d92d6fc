"""An API as a process of its own."""

from dataclasses import dataclass

from tests.installation import eventually
from tests.worker_process import WorkerProcess


@dataclass
class Served:
    """An API process, and where it answers."""

    process: WorkerProcess
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['SMB_HTTP_PORT']}/api/v1"

    async def ready(self) -> None:
        await eventually(lambda: self.process.ops("/readyz")[0] == 200, "the API is ready")
