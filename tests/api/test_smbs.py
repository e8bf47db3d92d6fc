"""SMBs over HTTP."""

import asyncio
from uuid import uuid4

from services.api.roles import Role
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


async def test_a_change_needs_only_what_changes_and_is_told(client: Client) -> None:
    smb = await client.create_smb(primary_phone="+1 212 555 0100", industry_category="Food")
    path = f"/smbs/{smb['id']}"
    answer = await client.ask("PATCH", path, json={"industry_category": None, "rvm_opted_in": True, "slug": "alma"})
    changed = answer.json()
    assert answer.status_code == 200, answer.text
    assert (answer.headers["etag"], changed["industry_category"], changed["slug"]) == ('"2"', None, "alma")
    assert (changed["can_contact_via_rvm"], changed["primary_phone"]) == (True, "+1 212 555 0100")
    assert changed["data_quality_score"] < smb["data_quality_score"]
    assert (await client.ask("PATCH", path, json={"slug": "alma"})).headers["etag"] == '"2"'
    told = await client.fetch(
        "SELECT convert_from(value, 'utf8')::json AS data FROM outgoing_messages"
        " WHERE tenant_id = $1 AND type = 'SMBUpdated'",
        client.tenant_id,
    )
    assert len(told) == 1
    assert '"industry_category"' in told[0]["data"]


async def test_a_replacement_needs_the_version_it_was_made_from(client: Client) -> None:
    smb = await client.create_smb(primary_phone="+1 212 555 0100", business_context={"a": 1})
    path, body = f"/smbs/{smb['id']}", {"business_name": "Berta", "business_context": {"b": 2}}
    problem_of(await client.ask("PUT", path, json=body), 428, "precondition-required")
    answer = await client.ask("PUT", path, json=body, headers={"If-Match": '"1"'})
    replaced = answer.json()
    assert answer.status_code == 200, answer.text
    assert (replaced["business_name"], replaced["primary_phone"], replaced["slug"]) == ("Berta", None, smb["slug"])
    assert replaced["business_context"] == {"b": 2}
    for method in ("PUT", "PATCH"):
        late = await client.ask(
            method, path, json=body if method == "PUT" else {"slug": "x"}, headers={"If-Match": '"1"'}
        )
        assert problem_of(late, 412, "revision-mismatch")["errors"][0]["field"] == "If-Match"
    wrong = await client.ask("PATCH", path, json={"slug": "x"}, headers={"If-Match": "W/1"})
    assert problem_of(wrong, 422, "invalid-field")["errors"][0]["field"] == "If-Match"
    assert (await client.ask("PUT", path, json=body, headers={"If-Match": "*"})).status_code == 200


async def test_the_business_context_is_replaced_and_told_to_nobody(client: Client) -> None:
    smb = await client.create_smb()
    answer = await client.ask("PUT", f"/smbs/{smb['id']}/business-context", json={"hours": [8, 18]})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["business_context"] == {"hours": [8, 18]}
    told = await client.fetch("SELECT type FROM outgoing_messages WHERE tenant_id = $1", client.tenant_id)
    assert [row["type"] for row in told] == ["SMBCreated"]


async def test_an_erased_smb_is_gone_with_the_answers_that_named_it(client: Client) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    created = (await client.ask("POST", "/smbs", json={"business_name": "Forget me"}, headers=key)).json()
    path = f"/smbs/{created['id']}"
    problem_of(await client.other(role=Role.OPERATOR).ask("POST", f"{path}/erase"), 403, "forbidden")
    assert (await client.ask("POST", f"{path}/erase")).status_code == 204
    problem_of(await client.ask("GET", path), 404, "unknown-smb")
    problem_of(await client.ask("POST", f"{path}/erase"), 404, "unknown-smb")
    again = await client.ask("POST", "/smbs", json={"business_name": "B", "id": created["id"]})
    problem_of(again, 409, "id-erased")


async def test_nothing_is_locked_or_made_for_an_id_that_is_guessed(client: Client) -> None:
    for method, path, body in (
        ("PATCH", f"/smbs/{uuid4()}", {"slug": "x"}),
        ("PUT", f"/smbs/{uuid4()}/business-context", {}),
        ("POST", f"/smbs/{uuid4()}/erase", None),
    ):
        problem_of(await client.ask(method, path, json=body), 404, "unknown-smb")
    assert await client.fetch("SELECT 1 FROM smb_heads WHERE tenant_id = $1", client.tenant_id) == []


async def test_a_deleted_smb_is_gone_until_it_is_restored(client: Client) -> None:
    smb = await client.create_smb(external_id="x-1")
    path = f"/smbs/{smb['id']}"
    problem_of(await client.ask("DELETE", path, headers={"If-Match": '"7"'}), 412, "revision-mismatch")
    assert (await client.ask("DELETE", path)).status_code == 204
    for method, below in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("PUT", "/business-context")):
        problem_of(await client.ask(method, path + below, json={}), 404, "unknown-smb")
    taken = await client.create_smb(external_id="x-1")
    problem_of(await client.ask("POST", f"{path}/restore"), 409, "external-id-taken")
    assert (await client.ask("PATCH", f"/smbs/{taken['id']}", json={"external_id": "x-2"})).status_code == 200
    restored = await client.ask("POST", f"{path}/restore")
    assert (restored.status_code, restored.json()["deleted_at"]) == (200, None), restored.text
    assert restored.json()["slug"] == "cafe-alma-2"
    assert await client.get(path) == restored.json()
    assert (await client.ask("POST", f"{path}/restore")).json() == restored.json()
