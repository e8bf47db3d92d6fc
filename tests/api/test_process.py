"""`smb-crm api` and `smb-crm token` as a user runs them."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx

from tests.api.serving import Served
from tests.commands import smb_crm, succeeds
from tests.installation import eventually, free_port
from tests.worker_process import WorkerProcess


async def test_a_minted_token_opens_the_api_and_the_logs_name_the_request_and_no_token(served: Served) -> None:
    tenant_id = uuid4()
    minted = await succeeds(served.environment, "token", "--tenant", tenant_id, "--role", "operator", "--json")
    token = minted.document["token"]
    async with httpx.AsyncClient(base_url=served.url, headers={"Authorization": f"Bearer {token}"}) as http:
        created = await http.post("/smbs", json={"business_name": "Alma"}, headers={"X-Request-Id": "from-the-test"})
        assert created.status_code == 201, created.text
        assert (await http.post(f"/smbs/{created.json()['id']}/erase")).status_code == 403
        assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.1")
    (line,) = [json.loads(one) for one in served.process.logged().splitlines() if "from-the-test" in one]
    assert (line["route"], line["status"], line["tenant_id"]) == ("/smbs", 201, str(tenant_id))
    assert token not in served.process.logged()
    metrics = served.process.ops("/metrics")[1]
    assert 'smb_http_request_seconds_count{method="POST",route="/smbs",status="2xx"} 1.0' in metrics
    assert 'smb_http_refused_requests_total{why="forbidden"} 1.0' in metrics


async def test_it_ends_with_0_and_finishes_what_is_under_way(served: Served) -> None:
    environment = served.environment | {"SMB_HTTP_PORT": str(free_port()), "SMB_OPS_PORT": str(free_port())}
    other = Served(
        WorkerProcess("api", environment, served.process.log.with_name("other.log"), arguments=()),
        environment,
    )
    await other.ready()
    token = (await succeeds(environment, "token", "--tenant", uuid4())).out.strip()
    sending = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"business_name": '
        sending.set()
        await eventually(lambda: other.process.ops("/livez")[0] == 0, "it has begun to end")
        yield b'"Alma"}'

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=other.url, headers=headers, timeout=60) as http:
        writing = asyncio.create_task(http.post("/smbs", content=slowly()))
        await sending.wait()
        ended = asyncio.create_task(asyncio.to_thread(other.process.terminate))
        assert (await writing).status_code == 201
        assert await ended == 0


async def test_a_port_that_is_taken_and_a_missing_key_are_named(served: Served) -> None:
    taken = await smb_crm(served.environment, "api")
    assert f"SMB_HTTP_PORT: cannot listen on 127.0.0.1:{served.environment['SMB_HTTP_PORT']}" in taken.failure
    without = {name: value for name, value in served.environment.items() if name != "SMB_JWT_KEY"}
    assert "SMB_JWT_KEY: is missing" in (await smb_crm(without, "api")).failure
    assert "SMB_JWT_KEY: is missing" in (await smb_crm(without, "token", "--tenant", uuid4())).failure
