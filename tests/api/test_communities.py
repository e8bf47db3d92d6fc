"""Communities over HTTP."""

from typing import Any

from tests.api.client import Client, problem_of


async def test_a_community_is_created_changed_replaced_and_deleted(client: Client) -> None:
    body = {"name": "Harlem", "state": "ny", "timezone": "America/New_York"}
    created = await client.ask("POST", "/communities", json=body)
    community = created.json()
    path = f"/communities/{community['id']}"
    assert (created.status_code, created.headers["location"]) == (201, f"/api/v1{path}"), created.text
    assert (community["slug"], community["state"], created.headers["etag"]) == ("harlem", "NY", '"1"')
    changed = await client.ask("PATCH", path, json={"population": 116_000}, headers={"If-Match": '"1"'})
    assert (changed.json()["population"], changed.headers["etag"]) == (116_000, '"2"')
    problem_of(await client.ask("PUT", path, json=body), 428, "precondition-required")
    replaced = await client.ask("PUT", path, json=body, headers={"If-Match": '"2"'})
    assert (replaced.json()["population"], replaced.json()["slug"]) == (None, "harlem")
    problem_of(await client.ask("DELETE", path, headers={"If-Match": '"2"'}), 412, "revision-mismatch")
    assert (await client.ask("DELETE", path)).status_code == 204
    problem_of(await client.ask("GET", path), 404, "unknown-community")
    problem_of(await client.ask("DELETE", path), 404, "unknown-community")


async def test_another_time_zone_and_a_deletion_reach_the_smbs(client: Client) -> None:
    community = await create_community(client, timezone="America/New_York")
    smb = await client.create_smb(community_id=community["id"])
    await client.fetch(START, client.tenant_id, smb["id"])
    path = f"/communities/{community['id']}"
    assert (await client.ask("PATCH", path, json={"timezone": "Pacific/Honolulu"})).status_code == 200
    moved = await client.get(f"/smbs/{smb['id']}")
    assert moved["next_scheduled_send"].endswith("T19:00:00Z")
    assert (await client.ask("DELETE", path)).status_code == 204
    left = await client.get(f"/smbs/{smb['id']}")
    assert left["community_id"] is None
    assert left["next_scheduled_send"].endswith("T09:00:00Z")


async def test_a_wrong_field_is_named(client: Client) -> None:
    for changed, field in (
        ({"state": "New York"}, "state"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"population": -1}, "population"),
        ({"name": ""}, "name"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await client.ask("POST", "/communities", json={"name": "Harlem", "state": "NY"} | changed)
        assert problem_of(answer, 422, "invalid-field")["errors"][0]["field"] == field


async def create_community(client: Client, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  any field
    """Create a community and give it."""
    answer = await client.ask("POST", "/communities", json={"name": "Harlem", "state": "NY"} | fields)
    assert answer.status_code == 201, answer.text
    community: dict[str, Any] = answer.json()
    return community


# A campaign that runs, on its first day, as the campaign service would have stored it for New York.
START = """
WITH run AS (
    INSERT INTO campaigns (tenant_id, id, smb_id, status, start_date, day_one, day, next_send, timezone, send_time,
        refreshed_at, created_at)
    SELECT $1, gen_random_uuid(), $2, 'running', current_date + 1, current_date + 1, 1,
        (current_date + 1 + time '09:00') AT TIME ZONE 'America/New_York', 'America/New_York', '09:00', now(), now()
    RETURNING *
)
UPDATE smbs SET campaign_status = 'running', current_campaign_id = run.id, manifest_destiny_day = 1,
    manifest_destiny_start_date = run.start_date, next_scheduled_send = run.next_send
FROM run WHERE smbs.tenant_id = run.tenant_id AND smbs.id = run.smb_id
"""
