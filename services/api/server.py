"""`smb-crm api`: serves the application, and its health and metrics on a port of their own, until SIGTERM."""

import asyncio
import signal

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.application import create_application
from services.api.parts import Parts
from shared.migrations import schema_is_current
from shared.runtime import metrics
from shared.runtime.errors import one_line
from shared.runtime.health import Health
from shared.runtime.line import Line
from shared.runtime.logs import configure_logs, logger
from shared.runtime.serving import Server, listen
from shared.runtime.settings import Settings

SERVICE = "api"
LOOK_SECONDS = 1.0
# Clients keep connections for as long as proxies in front of us usually do.
KEEP_ALIVE_SECONDS = 75


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way. Raises WrongSettings."""
    parts = Parts.of(settings)
    configure_logs(log_format=settings.log_format, level=settings.log_level, service=SERVICE)
    metrics.describe_build(SERVICE, parts.policy.version)
    api_socket = listen(settings.http_host, settings.http_port, "SMB_HTTP_PORT")
    ops_socket = listen(settings.http_host, settings.ops_port, "SMB_OPS_PORT")
    line = Line(SERVICE)
    loop = asyncio.get_running_loop()
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, line.shutting_down.set)
    schema = _Schema(parts, line)
    health = Health(SERVICE, parts.database, line)
    health.consuming = True  # it consumes nothing; what it needs of Kafka, the workers' relay does
    health.troubles = {"schema": schema.trouble}
    servers = [
        Server(configuration(create_application(parts), settings)),
        Server(configuration(Starlette(routes=[Route(path, _Page(app)) for path, app in health.routes()]), settings)),
    ]
    serving = [
        asyncio.create_task(server.serve(sockets=[one]))
        for server, one in zip(servers, (api_socket, ops_socket), strict=True)
    ]
    watching = [asyncio.create_task(schema.watch()), asyncio.create_task(health.run())]
    logger().info("api is serving", host=settings.http_host, port=api_socket.getsockname()[1])
    await line.shutting_down.wait()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving, *watching)
    await parts.database.close()
    logger().info("api has ended")


class _Page:
    """An ASGI application at exactly one path; a mounted one redirects, which a probe takes for success."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Schema:
    """Whether the database's schema is there: until it is, the process is alive and not ready."""

    def __init__(self, parts: Parts, line: Line) -> None:
        self._database = parts.database
        self._line = line
        self._trouble: str | None = "not looked at yet"

    def trouble(self) -> str | None:
        return self._trouble

    async def watch(self) -> None:
        """Look until it is current, or the shutdown comes."""
        while self._trouble is not None and not self._line.shutting_down.is_set():
            try:
                async with self._database.begin() as connection:
                    is_current = await schema_is_current(connection)
                self._trouble = None if is_current else "it is older than this program: run `smb-crm migrate`"
            except Exception as error:  # noqa: BLE001  whatever it is, it is shown, and tried again
                self._trouble = one_line(error)
            if self._trouble is not None:
                logger().warning("waiting", error=self._trouble)
                await self._line.pause(LOOK_SECONDS)


def configuration(app: object, settings: Settings) -> uvicorn.Config:
    """How each of the two servers serves."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI application
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
