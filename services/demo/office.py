"""Creates the demo's communities and SMBs as its users would: over the HTTP API, most of them by an import."""

import asyncio
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from services.api.credentials import mint
from services.api.roles import Role
from services.demo.errors import DemoFailed
from services.demo.population import Business, Population
from shared.runtime.settings import Settings

# So many are created one by one before the file with all others is uploaded.
ONE_BY_ONE = 20
# Rows that an import refuses, with what is wrong in each.
BROKEN_ROWS = (
    {"business_name": "No Such Address", "primary_email": "nobody at nowhere"},
    {"business_name": "No Such Town", "community_id": "00000000-0000-0000-0000-000000000000"},
    {"business_name": "", "external_id": "crm-nameless"},
)
COLUMNS = (
    *("id", "external_id", "business_name", "primary_email", "primary_phone", "industry_category"),
    *("business_description", "community_id", "service_model", "rvm_opted_in", "do_not_contact"),
)
TOKEN_LIFETIME = timedelta(hours=12)
TIMEOUT_SECONDS = 30.0
IMPORT_SECONDS = 60.0
POLL_SECONDS = 0.2
# Requests at the same time.
AT_ONCE = 8


@dataclass(slots=True)
class Office:
    """Whoever keeps the records: an operator with a credential, at the API that listens on `url`."""

    settings: Settings
    population: Population
    # Where its credential is left for whoever wants to ask the API as well.
    token_file: Path
    url: str = ""
    imported: dict[str, Any] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """A credential of the demo's tenant."""
        tenant_id = self.population.communities[0].tenant_id
        return mint(self.settings, tenant_id, Role.OPERATOR, "demo", TOKEN_LIFETIME)

    async def open(self) -> str:
        """Create the communities and the SMBs that are known from the start; tells in a line how. Raises DemoFailed."""
        communities, known = self.population.communities, self.population.known
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(self.token + "\n")
        async with self._client() as client:
            for community in communities:
                await _post(client, "/communities", community.model_dump(mode="json", exclude={"tenant_id"}))
            await self._create(client, known[:ONE_BY_ONE])
            self.imported = await self._import(client, known[ONE_BY_ONE:])
        created, refused = self.imported["created"], self.imported["refused"]
        return (
            f"Created {len(communities)} communities and {min(ONE_BY_ONE, len(known))} SMBs over HTTP;"
            f" imported {created:,} more from a file, {refused} of its rows were refused"
        )

    async def create(self, businesses: Sequence[Business]) -> None:
        """Create these SMBs; what they did before counts at once. Raises DemoFailed."""
        async with self._client() as client:
            await self._create(client, businesses)

    async def _create(self, client: httpx.AsyncClient, businesses: Sequence[Business]) -> None:
        for first in range(0, len(businesses), AT_ONCE):
            requests = [business.request for business in businesses[first : first + AT_ONCE]]
            bodies = [request.model_dump(mode="json", exclude={"tenant_id"}) for request in requests]
            await asyncio.gather(*(_post(client, "/smbs", body) for body in bodies))

    async def _import(self, client: httpx.AsyncClient, businesses: Sequence[Business]) -> dict[str, Any]:
        answer = await client.post(
            "/smbs/import", content=_file(businesses).encode(), headers={"Content-Type": "text/csv"}
        )
        job = _document(answer)
        try:
            async with asyncio.timeout(IMPORT_SECONDS):
                while job["status"] not in ("finished", "failed"):
                    await asyncio.sleep(POLL_SECONDS)
                    job = _document(await client.get(f"/smbs/import/{job['id']}/status"))
        except TimeoutError:
            raise DemoFailed(f"the import is not done after {IMPORT_SECONDS:.0f} s: {job}") from None
        if job["status"] == "failed":
            raise DemoFailed(f"the import failed: {job}")
        return job

    def _client(self) -> httpx.AsyncClient:
        # What the environment says of proxies is for the outside.
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    _document(await client.post(path, json=body))


def _document(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DemoFailed(f"the API refused {answer.request.method} {answer.request.url.path}: {answer.text}")
    document: dict[str, Any] = answer.json()
    return document


def _file(businesses: Sequence[Business]) -> str:
    """The file that an operator would upload: a header, a row for each SMB, and a few broken ones."""
    written = io.StringIO()
    rows = csv.DictWriter(written, COLUMNS, restval="", extrasaction="ignore")
    rows.writeheader()
    rows.writerows(business.request.model_dump(mode="json") for business in businesses)
    rows.writerows(BROKEN_ROWS)
    return written.getvalue()
