"""Imports and bulk updates over HTTP, done by the records worker's own code in this process."""

import csv
from typing import Any

from fastapi import FastAPI

from services.records.job_work import JobWork
from shared.runtime.database import Database
from tests.api.client import Client, problem_of
from tests.api.test_communities import create_community

CSV = {"Content-Type": "text/csv"}


async def test_an_upload_is_applied_its_bad_rows_are_told_and_the_same_file_changes_nothing(
    client: Client, application: FastAPI
) -> None:
    community = await create_community(client)
    rows = (
        "external_id,business_name,primary_email,community_slug\n"
        "x-1,Alma,a@alma.test,harlem\nx-2,Berta,=nobody,\nx-3,,c@carla.test,\nx-4,Dora,d@dora.test,nowhere\n"
    )
    answer = await client.ask("POST", "/smbs/import", content=rows.encode(), headers=CSV)
    job = answer.json()
    assert (answer.status_code, job["status"], job["rows_total"]) == (202, "waiting", 4), answer.text
    second = await client.ask("POST", "/smbs/import", content=rows.encode(), headers=CSV)
    problem_of(second, 409, "import-running")
    await work(application, client)
    done = await client.get(f"/smbs/import/{job['id']}/status")
    assert (done["status"], done["created"], done["refused"], done["rows_done"]) == ("finished", 1, 3, 4), done
    (smb,) = (await client.get("/smbs"))["items"]
    assert (smb["external_id"], smb["community_id"]) == ("x-1", community["id"])
    errors = await client.ask("GET", f"/smbs/import/{job['id']}/errors")
    assert errors.headers["content-type"] == "text/csv; charset=utf-8"
    refused = list(csv.DictReader(errors.text.splitlines()))
    assert [(row["line"], row["column"]) for row in refused] == [
        ("3", "primary_email"), ("4", "business_name"), ("5", "community_slug"),
    ]  # fmt: skip
    assert refused[0]["value"] == "'=nobody"
    again = (await client.ask("POST", "/smbs/import", content=rows.encode(), headers=CSV)).json()
    await work(application, client)
    done = await client.get(f"/smbs/import/{again['id']}/status")
    assert (done["created"], done["updated"], done["unchanged"]) == (0, 0, 1)
    told = await client.fetch("SELECT type FROM outgoing_messages WHERE tenant_id = $1", client.tenant_id)
    assert [row["type"] for row in told] == ["SMBCreated"]


async def test_a_dry_run_changes_nothing_and_a_mapping_names_columns(client: Client, application: FastAPI) -> None:
    rows = b"No;Company;Notes\r\nx-1;Alma;x\r\n"
    mapping = '{"No": "external_id", "Company": "business_name", "Notes": null}'
    params = {"dry_run": "true", "mapping": mapping}
    job = (await client.ask("POST", "/smbs/import", content=rows, headers=CSV, params=params)).json()
    await work(application, client)
    done = await client.get(f"/smbs/import/{job['id']}/status")
    assert (done["status"], done["dry_run"], done["created"]) == ("finished", True, 1)
    assert (await client.get("/smbs"))["items"] == []
    unknown = await client.ask("POST", "/smbs/import", content=rows, headers=CSV)
    assert problem_of(unknown, 422, "unknown-column")["errors"][0]["field"] == "No"
    for wrong in ("x", "[]", '{"No": 1}', '{"No": "nickname"}'):
        answer = await client.ask("POST", "/smbs/import", content=rows, headers=CSV, params={"mapping": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "mapping"), answer.text
    other = await client.ask("POST", "/smbs/import", content=rows, headers={"Content-Type": "application/pdf"})
    problem_of(other, 415, "unsupported-media-type")


async def test_json_arrays_and_lines_are_files_too(client: Client, application: FastAPI) -> None:
    array = b'[{"external_id": "x-1", "business_name": "Alma"}]'
    lines = b'{"external_id": "x-1", "primary_email": null}\n{"external_id": "x-2", "business_name": "Berta"}\n'
    for body, kind in ((array, "application/json"), (lines, "application/x-ndjson")):
        answer = await client.ask("POST", "/smbs/import", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 202, answer.text
        await work(application, client)
    assert [smb["business_name"] for smb in (await client.get("/smbs"))["items"]] == ["Alma", "Berta"]


async def test_many_smbs_are_changed_at_once_each_told_for_itself(client: Client, application: FastAPI) -> None:
    smbs = [await client.create_smb(business_name=name) for name in ("Alma", "Berta", "Carla")]
    body: dict[str, Any] = {"filter": {"q": "a"}, "changes": {"service_model": "assisted"}, "dry_run": True}
    counted = (await client.ask("POST", "/smbs/bulk-update", json=body)).json()
    assert (counted["matched"], counted["would_change"], counted["job"]) == (3, 3, None)
    by_ids = {"ids": [smbs[0]["id"], smbs[1]["id"]], "changes": {"service_model": "assisted", "rvm_opted_in": True}}
    job = (await client.ask("POST", "/smbs/bulk-update", json=by_ids)).json()["job"]
    await work(application, client)
    done = await client.get(f"/smbs/bulk-update/{job['id']}/status")
    assert (done["status"], done["updated"]) == ("finished", 2)
    counted = (await client.ask("POST", "/smbs/bulk-update", json=body)).json()
    assert (counted["matched"], counted["would_change"]) == (3, 1)
    told = await client.fetch(
        "SELECT smb_id FROM outgoing_messages WHERE tenant_id = $1 AND type = 'SMBUpdated'", client.tenant_id
    )
    assert {str(row["smb_id"]) for row in told} == set(by_ids["ids"])
    for wrong, field in (
        ({"changes": {"do_not_contact": True}}, "ids"),
        ({"ids": [], "changes": {"do_not_contact": True}}, "ids"),
        ({"filter": {}, "changes": {}}, "changes"),
        ({"filter": {}, "changes": {"slug": "x"}}, "changes.slug"),
        ({"filter": {"engagement_tier": 9}, "changes": {}}, "filter.engagement_tier"),
    ):
        answer = await client.ask("POST", "/smbs/bulk-update", json=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text


async def work(application: FastAPI, client: Client) -> None:
    """Do what the records workers would do now."""
    parts = application.state.parts
    database = Database.create(client.settings.database_url.get_secret_value())
    try:
        await JobWork(database, parts.topics, parts.records).advance()
    finally:
        await database.close()
