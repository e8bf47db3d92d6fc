"""Lists and views over HTTP: filters, orders, pages, and what belongs to an SMB."""

from typing import Any

from tests.api.client import Client, problem_of
from tests.api.test_communities import create_community


async def test_pages_follow_each_other_and_filters_and_orders_hold(client: Client) -> None:
    names = ["Alma", "berta", "Carla", "Dora", "Emil"]
    for number, name in enumerate(names):
        await client.create_smb(business_name=name, service_model="assisted" if number % 2 else "self-serve")
    found, cursor = [], ""
    while cursor is not None:
        page = await client.get("/smbs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        found += [smb["business_name"] for smb in page["items"]]
        cursor = page["next_cursor"]
    assert found == names
    assert await _names(client, sort="-created") == names[::-1]
    assert await _names(client, q="ER") == ["berta"]
    assert await _names(client, service_model="assisted", sort="-name") == ["Dora", "berta"]
    assert await _names(client, contactable="email") == []
    assert await _names(client, engagement_tier=4, campaign_status="draft") == names
    assert await _names(client.stranger()) == []
    assert "business_context" not in (await client.get("/smbs"))["items"][0]


async def test_a_question_that_makes_no_sense_is_named_by_its_parameter(client: Client) -> None:
    await client.create_smb()
    await client.create_smb()
    cursor = (await client.get("/smbs", params={"limit": 1}))["next_cursor"]
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"engagement_tier": 5}, "engagement_tier"),
        ({"campaign_status": "active"}, "campaign_status"),
        ({"community_id": "x"}, "community_id"),
        ({"contactable": "fax"}, "contactable"),
        ({"sort": "colour"}, "sort"),
        ({"limit": 201}, "limit"),
        ({"limit": 0}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": cursor, "sort": "-name"}, "cursor"),
        ({"colour": "red"}, "colour"),
        ({"q": "a\0b"}, "q"),
    )
    for params, field in wrong:
        answer = await client.ask("GET", "/smbs", params=params)
        assert problem_of(answer, 422, "invalid-field")["errors"][0]["field"] == field, answer.text


async def test_a_community_shows_its_smbs_and_counts_them(client: Client) -> None:
    community = await create_community(client)
    await client.create_smb(business_name="Alma", community_id=community["id"], primary_email="a@alma.test")
    await client.create_smb(business_name="Berta")
    path = f"/communities/{community['id']}"
    listed = await client.get(f"{path}/smbs")
    assert [smb["business_name"] for smb in listed["items"]] == ["Alma"]
    stats = await client.get(f"{path}/stats")
    assert (stats["smbs"], stats["active"], stats["by_tier"]["4"], stats["mean_score"]) == (1, 0, 1, 0)
    assert (stats["contactable_by_email"], stats["contactable_by_rvm"]) == (1, 0)
    assert [one["id"] for one in (await client.get("/communities"))["items"]] == [community["id"]]
    for below in ("/smbs", "/stats"):
        problem_of(await client.stranger().ask("GET", path + below), 404, "unknown-community")


async def test_what_an_smb_did_and_why_its_score_is_what_it_is(client: Client) -> None:
    community = await create_community(client)
    smb = await client.create_smb(community_id=community["id"])
    await client.fetch(EVENTS, client.tenant_id, smb["id"])
    path = f"/smbs/{smb['id']}"
    first = await client.get(f"{path}/engagement", params={"limit": 2})
    second = await client.get(f"{path}/engagement", params={"limit": 2, "cursor": first["next_cursor"]})
    kinds = [event["kind"] for event in (*first["items"], *second["items"])]
    assert kinds == ["email_opened", "content_viewed", "approval_rejected", "approval_approved"]
    assert [event["points"] for event in second["items"]] == [0, 5]
    only = await client.get(f"{path}/engagement", params={"kind": ["email_opened", "content_viewed"]})
    assert len(only["items"]) == 2
    assert [event["decision"] for event in (await client.get(f"{path}/approvals"))["items"]] == ["rejected", "approved"]
    assert len((await client.get(f"{path}/content-views"))["items"]) == 1
    (send,) = (await client.get(f"{path}/campaign-sends"))["items"]
    assert (send["channel"], send["reference"], send["opened"]) == ("email", "m-0", 1)

    explained = await client.get(f"{path}/engagement/explain")
    assert {group["group"]: group["events"] for group in explained["groups"]} == {
        "reach": 1, "response": 0, "content": 1, "approval": 1,
    }  # fmt: skip
    assert explained["score"] == 8
    assert (explained["next_tier"]["name"], explained["points_to_next_tier"]) == ("Moderate", 32)
    history = (await client.get(f"{path}/engagement/score-history"))["items"]
    assert (len(history), history[-1]["score"], history[0]["score"]) == (90, 8, 0)
    for params, field in (({"from": "2999-01-01"}, "from"), ({"to": "2999-01-01"}, "to"), ({"from": "x"}, "from")):
        answer = await client.ask("GET", f"{path}/engagement/score-history", params=params)
        assert problem_of(answer, 422, "invalid-field")["errors"][0]["field"] == field
    problem_of(await client.ask("GET", f"{path}/engagement", params={"kind": "walk"}), 422, "invalid-field")

    whole = await client.get(path, params={"include": "community,approvals,content_views,campaign_sends"})
    assert whole["community"]["id"] == community["id"]
    assert [len(whole[name]) for name in ("approvals", "content_views", "campaign_sends")] == [2, 1, 1]
    assert "approvals" not in await client.get(path)
    problem_of(await client.ask("GET", path, params={"include": "secrets"}), 422, "invalid-field")
    context = await client.get(f"{path}/ai-context")
    assert [event["kind"] for event in context["recent_events"]] == kinds
    assert context["engagement"]["points"]["content"] == 2


async def _names(client: Client, **params: Any) -> list[str]:  # noqa: ANN401  any parameter
    return [smb["business_name"] for smb in (await client.get("/smbs", params=params))["items"]]


# A moment apart, the newest now.
EVENTS = """
INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
    partition_number, kind, source, event_id, reference, campaign_reference, service)
SELECT $1, $2, gen_random_uuid(), now() - number * interval '1 millisecond', now(), number, 0,
    CAST(kind AS engagement_kind), '/test', 'e-' || number, 'm-' || number, CASE number WHEN 0 THEN 'spring' END,
    CASE WHEN kind LIKE 'approval%' THEN 'Website' END
FROM unnest(ARRAY['email_opened', 'content_viewed', 'approval_rejected', 'approval_approved'])
    WITH ORDINALITY AS event (kind, place) CROSS JOIN LATERAL (SELECT place - 1 AS number) AS counted
"""
