"""The API with one more route, the floor: credential, rate, role, the tenant's transaction, and in it `SELECT 1`.

`python -m benchmarks.api_server` serves until it is ended. All requests go through the same application, guard and
server as in `smb-crm api`, with its log.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.responses import Response

from benchmarks.processes import answer, arguments
from services.api.application import create_application
from services.api.parts import Parts, Tenant
from services.api.roles import PREFIX, Role
from services.api.routing import GuardedRoute
from services.api.server import SERVICE, configuration
from shared.runtime.logs import configure_logs
from shared.runtime.serving import Server, listen
from shared.runtime.settings import load_settings

FLOOR_PATH = f"{PREFIX}/floor"
SELECT_ONE = text("SELECT 1")


class FloorRoute(GuardedRoute):
    """Guarded as all are, by a role that no table has to name: the product knows nothing of this route."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401  FastAPI's own
        APIRoute.__init__(self, path, endpoint, **options)
        self.least_role = Role.READER


floor = APIRouter(route_class=FloorRoute)


@floor.get(FLOOR_PATH)
async def select_one(tenant: Tenant) -> Response:
    """The least that a route can do with the database."""
    async with tenant.transaction() as transaction:
        found = (await transaction.execute(SELECT_ONE)).scalar_one()
    return Response(str(found), media_type="application/json")


def application(parts: Parts) -> FastAPI:
    """The product's application and the floor."""
    app = create_application(parts)
    app.include_router(floor)
    return app


async def serve(values: dict[str, Any]) -> None:
    """Serve with these settings; say `ready` as soon as the port takes connections."""
    settings = load_settings(**values)
    configure_logs(log_format=settings.log_format, level=settings.log_level, service=SERVICE)
    socket = listen(settings.http_host, settings.http_port, "SMB_HTTP_PORT")
    answer("ready")
    await Server(configuration(application(Parts.of(settings)), settings)).serve(sockets=[socket])


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
