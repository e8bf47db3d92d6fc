"""`/livez`, `/readyz` and `/metrics` of a worker."""

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from faststream.asgi import AsgiResponse, get
from prometheus_client import make_asgi_app

from shared.runtime import metrics
from shared.runtime.consumer import Consumer
from shared.runtime.database import Database
from shared.runtime.errors import one_line
from shared.runtime.line import Line

# A batch that has been under way for longer than this makes the worker not ready.
STUCK_SECONDS = 60


class Health:
    """Whether this process is alive (always, while it answers) and ready (it makes progress or is idle)."""

    def __init__(self, service: str, database: Database, line: Line) -> None:
        self._service = service
        self._database = database
        self._line = line
        self.consumers: dict[str, Consumer] = {}
        self.consuming = False

    async def problems(self) -> Mapping[str, str]:
        """What stands in the way of being ready, by name; empty when ready."""
        found: dict[str, str] = {}
        if self._line.stopped_because is not None:
            found["line"] = self._line.stopped_because
        if self._line.shutting_down.is_set():
            found["process"] = "is shutting down"
        if not self.consuming:
            found["kafka"] = "not connected yet"
        for name, consumer in self.consumers.items():
            if consumer.in_trouble:
                found[name] = "temporary trouble, trying again"
            elif consumer.working_since is not None and monotonic() - consumer.working_since > STUCK_SECONDS:
                found[name] = f"one batch takes longer than {STUCK_SECONDS} s"
        try:
            await self._database.ping()
        except Exception as error:  # noqa: BLE001  whatever it is, it makes this process not ready and is shown
            found["database"] = one_line(error)
        metrics.READY.labels(self._service).set(0 if found else 1)
        return found

    def routes(self) -> list[tuple[str, Any]]:
        """The ASGI routes."""

        @get
        async def livez(_scope: Mapping[str, Any]) -> AsgiResponse:
            return AsgiResponse(b"alive\n", status_code=200)

        @get
        async def readyz(_scope: Mapping[str, Any]) -> AsgiResponse:
            found = await self.problems()
            body = json.dumps({"ready": not found, "problems": found}).encode()
            return AsgiResponse(body, 503 if found else 200, {"content-type": "application/json"})

        return [("/livez", livez), ("/readyz", readyz), ("/metrics", make_asgi_app())]
