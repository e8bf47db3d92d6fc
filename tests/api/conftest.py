"""The application in this process, on this module's real database, and credentials for it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.api.application import create_application
from services.api.credentials import mint
from services.api.parts import Parts
from services.api.roles import Role
from shared.runtime.settings import Settings, load_settings
from tests.api.client import Client
from tests.api.serving import Served
from tests.installation import free_port
from tests.worker_process import WorkerProcess

KEY = "a key that is only used by tests, and long enough"


@pytest.fixture(scope="module")
def settings(database_url: str) -> Settings:
    """Settings of an API on this module's database; Kafka is only named, the API doesn't talk to it."""
    return load_settings(
        database_url=database_url,
        kafka_bootstrap_servers="127.0.0.1:9",
        jwt_key=KEY,
        http_rate_limit="1000000/minute",
    )


@pytest.fixture(scope="module")
async def application(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, as `smb-crm api` serves it."""
    parts = Parts.of(settings)
    yield create_application(parts)
    await parts.database.close()


@pytest.fixture
def tenant_id() -> UUID:
    """A tenant of the test's own."""
    return uuid4()


@pytest.fixture
async def client(application: FastAPI, settings: Settings, tenant_id: UUID) -> AsyncIterator[Client]:
    """An administrator of the tenant."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        token = mint(settings, tenant_id, Role.ADMIN, "tester", timedelta(hours=1))
        yield Client(http, settings, tenant_id, token)


@pytest.fixture(scope="module")
async def served(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """An API of this module's database; there is no Kafka, and it needs none."""
    folder: Path = tmp_path_factory.mktemp("api")
    environment = {
        "SMB_DATABASE_URL": database_url,
        "SMB_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "SMB_JWT_KEY": KEY,
        "SMB_HTTP_PORT": str(free_port()),
        "SMB_OPS_PORT": str(free_port()),
        "SMB_HTTP_RATE_LIMIT": "1000000/minute",
    }
    process = WorkerProcess("api", environment, folder / "api.log", arguments=())
    one = Served(process, environment)
    await one.ready()
    yield one
    process.kill()
