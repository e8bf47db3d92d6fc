"""Campaigns over HTTP."""

from uuid import uuid4

from tests.api.client import Client, problem_of


async def test_a_campaign_goes_through_all_its_states_and_each_is_told_with_its_reason(client: Client) -> None:
    smb = await client.create_smb()
    path = f"/smbs/{smb['id']}/campaign"
    steps: tuple[tuple[str, dict[str, str] | None, str, int | None], ...] = (
        ("schedule", {"start_date": "2999-01-04"}, "scheduled", None),
        ("schedule", {"start_date": "2999-02-04"}, "scheduled", None),
        ("cancel", {"reason": "changed their mind"}, "cancelled", None),
        ("start", None, "running", 1),
        ("pause", {"reason": "holiday"}, "paused", 1),
        ("resume", {}, "running", 1),
        ("cancel", None, "cancelled", 1),
    )
    for action, body, status, day in steps:
        answer = await client.ask("POST", f"{path}/{action}", json=body)
        assert answer.status_code == 200, (action, answer.text)
        assert (answer.json()["campaign_status"], answer.json()["manifest_destiny_day"]) == (status, day), action
    told = await client.fetch(
        "SELECT convert_from(value, 'utf8')::json ->> 'reason' AS reason, causation_id FROM outgoing_messages"
        " WHERE tenant_id = $1 AND type = 'SMBCampaignChanged' ORDER BY sequence",
        client.tenant_id,
    )
    assert [row["reason"] for row in told] == [None, None, "changed their mind", None, "holiday", None, None]
    assert all(row["causation_id"].startswith("request/") for row in told)


async def test_a_refused_move_names_both_states_and_changes_nothing(client: Client) -> None:
    smb = await client.create_smb()
    path = f"/smbs/{smb['id']}/campaign"
    refused = problem_of(await client.ask("POST", f"{path}/pause", json={"reason": "x"}), 409, "wrong-status")
    assert refused["detail"] == "pause is not possible from draft, so it can't become paused"
    assert refused["errors"] == [{"field": "campaign_status", "reason": "pause is not possible from draft"}]
    late = await client.ask("POST", f"{path}/schedule", json={"start_date": "2020-01-01"})
    assert problem_of(late, 409, "start-date-not-ahead")["errors"][0]["field"] == "start_date"
    assert (await client.ask("PATCH", f"/smbs/{smb['id']}", json={"do_not_contact": True})).status_code == 200
    problem_of(await client.ask("POST", f"{path}/start"), 409, "do-not-contact")
    for body in ({}, {"reason": " "}, {"reason": 3}):
        answer = await client.ask("POST", f"{path}/pause", json=body)
        assert problem_of(answer, 422, "invalid-field")["errors"][0]["field"] == "reason"
    for start_date in ("tomorrow", 20_000, "2026-13-01", None):
        answer = await client.ask("POST", f"{path}/schedule", json={"start_date": start_date})
        assert problem_of(answer, 422, "invalid-field")["errors"][0]["field"] == "start_date"
    problem_of(await client.ask("POST", f"/smbs/{uuid4()}/campaign/start"), 404, "unknown-smb")
    for table in ("campaigns", "campaign_transitions"):
        assert await client.fetch(f"SELECT 1 FROM {table} WHERE tenant_id = $1", client.tenant_id) == []
