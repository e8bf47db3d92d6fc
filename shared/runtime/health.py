"""`/livez`, `/readyz` and `/metrics` of a worker."""

import json
from collections.abc import Callable, Mapping
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
# How often the gauge follows, also when nobody asks /readyz.
EVERY_SECONDS = 10.0


class Health:
    """Whether this process is alive (always, while it answers) and ready (it makes progress or is idle).

    `troubles` are what else stands in the way: each tells it in one line, or None.
    """

    def __init__(self, service: str, database: Database, line: Line) -> None:
        self._service = service
        self._database = database
        self._line = line
        self.consumers: dict[str, Consumer] = {}
        self.troubles: dict[str, Callable[[], str | None]] = {}
        self.consuming = False
        metrics.READY.labels(service).set(0)

    async def run(self) -> None:
        """Keep the gauge true until the shutdown."""
        while not self._line.shutting_down.is_set():
            await self.problems()
            await self._line.pause(EVERY_SECONDS)
        await self.problems()

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
        found |= {name: told for name, trouble in self.troubles.items() if (told := trouble()) is not None}
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
