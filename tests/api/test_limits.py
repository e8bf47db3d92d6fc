"""What every route does alike: ids, sizes, rates, roles, and errors that are problem details."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx

from services.api.application import create_application
from services.api.credentials import mint
from services.api.parts import Parts
from services.api.roles import Role
from shared.runtime.settings import Settings
from tests.api.client import Client, problem_of


async def test_every_answer_carries_the_requests_id(client: Client) -> None:
    named = await client.ask("GET", "/smbs/slug/none", headers={"X-Request-Id": "mine-1"})
    assert named.headers["x-request-id"] == "mine-1"
    # A header that would break a log line is not taken over.
    made = await client.ask("GET", "/smbs/slug/none", headers={"X-Request-Id": 'a" b'})
    assert made.headers["x-request-id"] not in ("", 'a" b')
    assert named.headers["cache-control"] == "no-store"


async def test_what_is_not_there_is_a_problem_as_well(client: Client) -> None:
    problem_of(await client.ask("GET", "/nothing"), 404, "not-found")
    answer = await client.ask("TRACE", "/smbs/slug/none")
    problem_of(answer, 405, "method-not-allowed")
    problem_of(await client.ask("GET", "/smbs/not-a-uuid"), 422, "invalid-field")


async def test_a_body_that_is_too_long_is_not_read(client: Client) -> None:
    longest = client.settings.http_body_max_bytes
    body = b'{"business_name": "' + b"a" * longest + b'"}'
    as_json = {"Content-Type": "application/json"}
    problem_of(await client.ask("POST", "/smbs", content=body, headers=as_json), 413, "too-large")

    async def pieces() -> "httpx.AsyncByteStream":  # type: ignore[misc]  # an async generator of bytes
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    # Without a declared length it is counted as it comes.
    problem_of(await client.ask("POST", "/smbs", content=pieces(), headers=as_json), 413, "too-large")


async def test_a_body_of_another_type_or_encoding_is_named(client: Client) -> None:
    for content, kind, status in (
        (b"business_name=Alma", "application/x-www-form-urlencoded", 415),
        (b"\xff\xfe{", "application/json", 400),
        (b'{"business_name": "\\ud800"}', "application/json", 422),
        (b'{"business_name": NaN}', "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[]", "application/json", 422),
    ):
        answer = await client.ask("POST", "/smbs", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, (content[:30], kind, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_is_let_in_without_a_credential_even_to_be_told_of_a_broken_body(client: Client) -> None:
    answer = await client.http.post("/smbs", content=b"{", headers={"Content-Type": "application/json"})
    problem_of(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    problem_of(await client.other(role=Role.READER).ask("POST", "/smbs", content=b"{"), 403, "forbidden")


async def test_a_credential_that_asks_too_often_waits_and_holds_up_nobody_else(
    settings: Settings, tenant_id: UUID
) -> None:
    parts = Parts.of(settings.model_copy(update={"http_rate_limit": "3/hour"}))
    transport = httpx.ASGITransport(create_application(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        token = mint(settings, tenant_id, Role.READER, "busy", timedelta(hours=1))
        busy = Client(http, settings, tenant_id, token)
        statuses = [(await busy.ask("GET", "/smbs/slug/none")).status_code for _ in range(4)]
        assert statuses == [404, 404, 404, 429]
        refused = await busy.ask("GET", "/smbs/slug/none")
        problem_of(refused, 429, "too-many-requests")
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert (await busy.other(subject="calm").ask("GET", "/smbs/slug/none")).status_code == 404
        assert (await busy.stranger().ask("GET", "/smbs/slug/none")).status_code == 404
    await parts.database.close()


async def test_a_database_that_is_away_is_told_and_harms_nothing(settings: Settings, client: Client) -> None:
    away = settings.model_copy(update={"database_url": type(settings.database_url)("postgresql://x@127.0.0.1:9/x")})
    parts = Parts.of(away)
    transport = httpx.ASGITransport(create_application(parts), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        answer = await replace(client, http=http).ask("GET", "/smbs/slug/none")
        problem_of(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert "127.0.0.1" not in answer.text
    await parts.database.close()
