"""Every route with every kind of credential: let in, refused, or as if nothing were there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from fastapi import FastAPI

from services.api.credentials import mint
from services.api.roles import LEAST_ROLES, Role
from shared.runtime.settings import Settings
from tests.api.client import Client, problem_of
from tests.api.rights import RIGHTS, Right
from tests.api.test_credentials import unsigned

ROLES = {"r": Role.READER, "o": Role.OPERATOR, "a": Role.ADMIN}
DENIED = (401, 403)


@pytest.fixture(scope="module")
async def owner(application: FastAPI, settings: Settings) -> AsyncIterator[Client]:
    """An administrator of a tenant."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        tenant_id = uuid4()
        yield Client(http, settings, tenant_id, mint(settings, tenant_id, Role.ADMIN, "owner", timedelta(hours=1)))


@pytest.fixture(scope="module")
async def names(owner: Client) -> dict[str, str]:
    """What the paths are filled with: things that the tenant has."""
    smb = await owner.create_smb()
    community = (await owner.ask("POST", "/communities", json={"name": "Town", "state": "NY"})).json()
    job = (await owner.ask("POST", "/smbs/import", json=[{"external_id": "x-1"}])).json()
    body = {"ids": [smb["id"]], "changes": {"do_not_contact": True}}
    bulk = (await owner.ask("POST", "/smbs/bulk-update", json=body)).json()["job"]
    return {
        "smb_id": smb["id"],
        "slug": smb["slug"],
        "community_id": community["id"],
        "job_id": job["id"],
        "bulk_id": bulk["id"],
    }


def test_the_table_has_every_route_that_there_is(application: FastAPI) -> None:
    documented = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, operations in application.openapi()["paths"].items()
        for method in operations
    }
    assert documented == {f"{right.method} {right.path}" for right in RIGHTS}
    assert documented == set(LEAST_ROLES)


async def test_nobody_is_let_in_with_a_credential_that_is_none(owner: Client, names: dict[str, str]) -> None:
    def signed(**changed: Any) -> str:  # noqa: ANN401  any claim
        claims = {"sub": "x", "iss": "smb-crm", "aud": "smb-crm", "tenant_id": str(owner.tenant_id), "role": "admin"}
        claims |= {"exp": datetime.now(UTC) + timedelta(minutes=5)} | changed
        return jwt.encode(claims, owner.settings.jwt_key.get_secret_value(), "HS256")  # type: ignore[union-attr]

    credentials = {
        "none": {},
        "expired": {"Authorization": f"Bearer {signed(exp=datetime.now(UTC) - timedelta(minutes=5))}"},
        "for another audience": {"Authorization": f"Bearer {signed(aud='another')}"},
        "alg none": {"Authorization": f"Bearer {unsigned()}"},
    }
    for right in RIGHTS:
        for headers in credentials.values():
            answer = await owner.http.request(
                right.method, right.path.format(**names), json=right.body, headers=headers
            )
            problem_of(answer, 401, "unauthorized")


async def test_each_role_is_let_in_where_the_table_says_so(owner: Client, names: dict[str, str]) -> None:
    for right in RIGHTS:
        for letter, role in ROLES.items():
            # Asked for what nobody has, so that nothing is changed on the way.
            nothing = {name: uuid4() for name in names}
            answer = await _ask(owner.other(role=role), right, nothing)
            if letter in right.allowed:
                assert answer.status_code not in DENIED, (right, role, answer.text)
            else:
                problem_of(answer, 403, "forbidden")


async def test_what_is_another_tenants_is_not_there(owner: Client, names: dict[str, str]) -> None:
    stranger = owner.stranger()
    for right in RIGHTS:
        answer = await _ask(stranger, right, names)
        if "{" in right.path:
            assert answer.status_code == 404, (right, answer.text)
        else:
            assert answer.status_code < 300, (right, answer.text)
            assert not set(names.values()) & set(_texts(answer.json())), (right, answer.text)


async def _ask(client: Client, right: Right, names: dict[str, Any]) -> httpx.Response:
    headers = {"If-Match": "*"} if right.method == "PUT" else {}
    return await client.ask(right.method, right.path.format(**names), json=right.body, headers=headers)


def _texts(document: Any) -> list[str]:  # noqa: ANN401  any JSON
    if isinstance(document, dict):
        return [text for value in document.values() for text in _texts(value)]
    if isinstance(document, list):
        return [text for value in document for text in _texts(value)]
    return [document] if isinstance(document, str) else []
