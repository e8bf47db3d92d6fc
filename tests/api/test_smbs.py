"""SMBs over HTTP."""

import asyncio
from uuid import uuid4

from tests.api.client import Client, problem_of


async def test_a_created_smb_is_found_by_its_address_and_its_slug_and_by_the_old_name_of_the_api(
    client: Client,
) -> None:
    answer = await client.ask("POST", "/smbs", json={"business_name": " Café Alma ", "primary_email": "a@alma.test"})
    created = answer.json()
    assert (answer.status_code, created["business_name"], created["slug"]) == (201, "Café Alma", "cafe-alma")
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/api/v1/smbs/{created['id']}")
    assert created["engagement_tier_name"] == "Passive"
    assert (created["can_contact_via_email"], created["can_contact_via_rvm"]) == (True, False)
    for path in (f"/smbs/{created['id']}", "/smbs/slug/cafe-alma", f"/customers/{created['id']}"):
        assert await client.get(path) == created
    told = await client.fetch("SELECT type FROM outgoing_messages WHERE tenant_id = $1", client.tenant_id)
    assert [row["type"] for row in told] == ["SMBCreated"]


async def test_what_is_wrong_is_named_by_its_field_and_nothing_is_created(client: Client) -> None:
    cases: list[tuple[dict[str, object], str]] = [
        ({}, "business_name"),
        ({"business_name": "  "}, "business_name"),
        ({"business_name": "Alma", "primary_email": "alma"}, "primary_email"),
        ({"business_name": "Alma", "primary_phone": "555"}, "primary_phone"),
        ({"business_name": "Alma", "do_not_contact": "yes"}, "do_not_contact"),
        ({"business_name": "Alma", "nickname": "A"}, "nickname"),
        ({"business_name": "Alma", "business_context": {"note": "a\0b"}}, "business_context"),
        ({"business_name": "Alma", "community_id": str(uuid4())}, "community_id"),
    ]
    for body, field in cases:
        answer = await client.ask("POST", "/smbs", json=body)
        assert answer.status_code == 422, (body, answer.text)
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    problem_of(
        await client.ask("POST", "/smbs", content=b"{", headers={"Content-Type": "application/json"}), 400, "not-json"
    )
    assert await client.fetch("SELECT 1 FROM smbs WHERE tenant_id = $1", client.tenant_id) == []


async def test_a_repeated_write_is_done_once_and_answered_alike(client: Client) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body = {"business_name": "Alma"}
    answers = await asyncio.gather(*(client.ask("POST", "/smbs", json=body, headers=key) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotency-replayed", "no") for answer in answers) == ["no"] + ["true"] * 4
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len(await client.fetch("SELECT 1 FROM smbs WHERE tenant_id = $1", client.tenant_id)) == 1
    other = await client.ask("POST", "/smbs", json={"business_name": "Berta"}, headers=key)
    problem_of(other, 422, "idempotency-key-reused")
    stranger = await client.stranger().ask("POST", "/smbs", json=body, headers=key)
    assert stranger.status_code == 201
    assert "idempotency-replayed" not in stranger.headers


async def test_an_id_or_external_id_that_exists_is_a_conflict(client: Client) -> None:
    created = await client.create_smb(external_id="x-1")
    again = await client.ask("POST", "/smbs", json={"business_name": "B", "id": created["id"]})
    assert problem_of(again, 409, "id-taken")["errors"][0]["field"] == "id"
    again = await client.ask("POST", "/smbs", json={"business_name": "B", "external_id": "x-1"})
    assert problem_of(again, 409, "external-id-taken")["errors"][0]["field"] == "external_id"
    # Another tenant's id tells nothing: it is free there.
    assert (
        await client.stranger().ask("POST", "/smbs", json={"business_name": "B", "id": created["id"]})
    ).status_code == 201


async def test_another_tenants_smb_does_not_exist(client: Client) -> None:
    created = await client.create_smb()
    problem_of(await client.stranger().ask("GET", f"/smbs/{created['id']}"), 404, "unknown-smb")
    problem_of(await client.stranger().ask("GET", f"/smbs/slug/{created['slug']}"), 404, "unknown-smb")
