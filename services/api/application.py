"""The application: all routes under `/api/v1`, each guarded, and the OpenAPI document that describes them."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from services.api import errors
from services.api.middleware import Surroundings
from services.api.parts import Parts
from services.api.problems import documented
from services.api.roles import PREFIX
from services.api.routes import ROUTERS

DESCRIPTION = """
The SMBs of one tenant: profiles, engagement, tiers, campaigns, communities, imports.

Tenant and rights come from the bearer token alone. `/customers` stands for `/smbs` everywhere. Writes take an
`Idempotency-Key`; updates honour `If-Match`. Every error is a problem detail (RFC 9457) that names the field.
"""


def create_application(parts: Parts) -> FastAPI:
    """Put the application together; nothing is connected yet."""
    app = FastAPI(
        title="smb-crm",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    api = APIRouter(prefix=PREFIX, responses=documented(), generate_unique_id_function=_operation_id)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    errors.register(app)
    app.add_middleware(Surroundings)
    _describe_security(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _describe_security(app: FastAPI) -> None:
    """Say in the document that every operation needs a bearer token; the guard does not go by it."""
    original = app.openapi

    def described() -> dict[str, Any]:
        document = original()
        document.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        }
        document["security"] = [{"bearer": []}]
        return document

    app.openapi = described  # type: ignore[method-assign]  # the way that FastAPI's documentation shows
