"""A client of the API, and what its tests ask again and again."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from services.api.credentials import mint
from services.api.roles import Role
from shared.runtime.settings import Settings


@dataclass
class Client:
    """Asks as one credential."""

    http: httpx.AsyncClient
    settings: Settings
    tenant_id: UUID
    token: str

    def other(self, *, role: Role = Role.ADMIN, tenant_id: UUID | None = None, subject: str = "tester") -> "Client":
        """The same, with another role, or of another tenant."""
        tenant = tenant_id or self.tenant_id
        return replace(self, tenant_id=tenant, token=mint(self.settings, tenant, role, subject, timedelta(hours=1)))

    def stranger(self) -> "Client":
        """An administrator of another tenant."""
        return self.other(tenant_id=uuid4())

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  httpx's own
        """Send a request below /api/v1 with the credential."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:  # noqa: ANN401  any JSON
        """What a GET that must succeed gives."""
        answer = await self.ask("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create_smb(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  any field
        """Create an SMB and give it."""
        answer = await self.ask("POST", "/smbs", json={"business_name": "Café Alma"} | fields)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Query the database as the superuser."""
        connection = await asyncpg.connect(self.settings.database_url.get_secret_value())
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem detail of an answer, which must have this status and kind."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:smb-crm:problem:{kind}"), answer.text
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem
