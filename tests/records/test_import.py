"""Imports from the upload to what readers are told: who is created, changed, left alone, or refused, and why."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import pytest

from services.records.erasure import erase
from services.records.errors import InvalidField
from services.records.files.errors import (
    ColumnTwice,
    EmptyFile,
    FileRefused,
    KeylessFile,
    NotAnArray,
    TooManyRows,
    UnknownColumn,
    WrongMapping,
)
from services.records.files.reading import FileFormat
from services.records.imports import receiving
from services.records.imports.receiving import Upload, receive_import
from services.records.jobs import ImportRunning
from shared.runtime.batch import transact
from shared.schemas.identity import SmbKey
from tests.records.desk import approval, clicks, decoded
from tests.records.importing import Imports, counts, pieces, table

HEADER = ("external_id", "business_name", "primary_email", "sms_opted_in", "services_activated", "community_slug")


async def test_new_rows_become_smbs_as_single_writes_make_them(imports: Imports) -> None:
    desk = imports.desk
    community = await desk.add_community("Alma")
    file = table(
        (*HEADER, "primary_phone", "business_context"),
        ("a", " Café Alma ", "Alma@Example.org", "Yes", "Chat; Listing|Website", "alma", "+1 (212) 555-0100", ""),
        ("b", "Café Alma", "", "", "", "", "", '{"size": 3}'),
        ("", "By Mail", "mail@example.org", "0", '["A;B"]', "", "", ""),
    )
    job = await imports.run(file)
    assert counts(job) == (3, 0, 0, 0)

    smbs = await imports.smbs()
    single = desk.smb(
        business_name="Café Alma",
        external_id="single",
        primary_email="Alma@Example.org",
        primary_phone="+1 (212) 555-0100",
        sms_opted_in=True,
        services_activated=("Chat", "Listing", "Website"),
        community_id=community.id,
    )
    await desk.create(single)
    expected = (await imports.smbs())["single"]
    # What differs by nature between any two SMBs.
    own = {"id", "slug", "external_id", "created_at", "updated_at"}
    assert {name: value for name, value in smbs["a"].items() if name not in own} == {
        name: value for name, value in expected.items() if name not in own
    }
    assert [smbs["a"]["slug"], smbs["b"]["slug"]] in (["cafe-alma", "cafe-alma-2"], ["cafe-alma-2", "cafe-alma"])
    assert smbs["b"]["business_context"] == {"size": 3}
    assert smbs["By Mail"]["services_activated"] == ["A;B"]
    (told,) = await desk.story(SmbKey(desk.tenant_id, smbs["a"]["id"]))
    (of_single,) = await desk.story(single.key)
    assert {name: value for name, value in told.items() if name not in own | {"smb_id"}} == {
        name: value for name, value in of_single.items() if name not in own | {"smb_id"}
    }
    row = await desk.row(SmbKey(desk.tenant_id, smbs["a"]["id"]))
    assert row["engagement_scored_on"] == (await desk.row(single.key))["engagement_scored_on"]

    before = await imports.untouched()
    assert counts(await imports.run(file)) == (0, 0, 3, 0)
    assert await imports.untouched() == before


async def test_rows_change_what_they_name_and_nothing_else(imports: Imports) -> None:
    desk = imports.desk
    await imports.run(
        table(
            (*HEADER, "service_model"),
            ("a", "Alma", "alma@example.org", "yes", "Chat", "", "managed"),
            ("b", "Bela", "bela@example.org", "", "", "", ""),
            ("", "Cora", "cora@example.org", "", "", "", ""),
        )
    )
    smbs = await imports.smbs()
    ids = {name: SmbKey(desk.tenant_id, smb["id"]) for name, smb in smbs.items()}
    await desk.approve([approval(ids["b"], "Chat")])

    job = await imports.run(
        table(
            (
                "id",
                "external_id",
                "primary_email",
                "business_name",
                "services_activated",
                "service_model",
                "do_not_contact",
            ),
            ("", "a", "", "", "", "assisted", ""),
            (str(ids["b"].smb_id).upper(), "bb", "", "Béla", "chat;Chat", "", "true"),
            ("", "", "CORA@example.org", "Cora & Co", "", "", ""),
        )
    )
    assert counts(job) == (0, 3, 0, 0)
    changed = await imports.smbs()
    assert changed["a"] | {"revision": 1, "updated_at": None} == smbs["a"] | {
        "service_model": "assisted",
        "revision": 1,
        "updated_at": None,
        "data_quality_score": changed["a"]["data_quality_score"],
    }
    assert (changed["bb"]["business_name"], changed["bb"]["slug"]) == ("Béla", "bela")
    assert (changed["bb"]["services_activated"], changed["bb"]["services_approved_pending"]) == (["chat", "Chat"], [])
    assert changed["bb"]["do_not_contact"]
    assert changed["Cora & Co"]["primary_email"] == "CORA@example.org"
    (_, updated) = await desk.story(ids["a"])
    assert updated["changes"] == {"service_model": {"old": "managed", "new": "assisted"}}


async def test_json_rows_clear_with_null_what_csv_leaves_alone(imports: Imports) -> None:
    desk = imports.desk
    community = await desk.add_community("Alma")
    rows = [
        {
            "external_id": "a",
            "business_name": "Alma",
            "primary_phone": "+12125550100",
            "service_model": "managed",
            "community_id": str(community.id),
            "services_activated": ["Chat"],
            "business_context": {"notes": ["é", 1.5, None]},
        },
        {"external_id": "b", "business_name": "Bela", "sms_opted_in": True},
    ]
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    assert counts(await imports.run(lines, FileFormat.JSON_LINES)) == (2, 0, 0, 0)
    assert counts(await imports.run(json.dumps(rows), FileFormat.JSON)) == (0, 0, 2, 0)
    assert (await imports.smbs())["a"]["business_context"] == {"notes": ["é", 1.5, None]}

    cleared = [
        {"external_id": "a", "primary_phone": None, "service_model": " ", "community_slug": None},
        {"external_id": "b", "sms_opted_in": None},
        {"external_id": "c", "business_name": None},
    ]
    job = await imports.run(json.dumps(cleared, indent=1), FileFormat.JSON)
    assert counts(job) == (0, 1, 0, 2)
    assert [(line, column) for line, column, _, _ in await imports.refusals(job.id)] == [
        (2, "sms_opted_in"),
        (3, "business_name"),
    ]
    smb = (await imports.smbs())["a"]
    assert (smb["primary_phone"], smb["service_model"], smb["community_id"]) == (None, None, None)
    assert smb["services_activated"] == ["Chat"]
    assert counts(await imports.run(json.dumps(cleared), FileFormat.JSON)) == (0, 0, 1, 2)
    assert counts(await imports.run("[]", FileFormat.JSON)) == (0, 0, 0, 0)


async def test_bad_rows_are_refused_one_by_one_and_the_others_go_in(imports: Imports) -> None:
    desk = imports.desk
    other, deleted, erased = (desk.smb(business_name=name, external_id=name) for name in ("other", "gone", "x"))
    twins = [desk.smb(business_name="Twin", primary_email="twin@example.org") for _ in range(2)]
    await desk.create(other, deleted, erased, *twins)
    await desk.delete(deleted.key)
    await transact(
        desk.database, desk.topics, [erased.key], lambda transaction, now: erase(transaction, [erased.key], now)
    )
    file = table(
        ("ID", "Ref", "business_name", "primary_email", "primary_phone", "services_activated", "Town", "rvm_opted_in"),
        ("", "ok", "Fine", "", "", "", "", ""),
        ("", "e", "Alma", "=cmd|' /C calc'!A0", "", "", "", ""),
        ("", "p", "Alma", "", "12", "", "", ""),
        ("", "s", "Alma", "", "", "a;a", "", ""),
        ("", "f", "Alma", "", "", "", "", "maybe"),
        ("", "c", "Alma", "", "", "", "nowhere", ""),
        ("", "n", "", "", "", "", "", ""),
        ("", "", "Alma", "", "", "", "", ""),
        ("", "", "Alma", "twin@example.org", "", "", "", ""),
        (deleted.id, "", "Alma", "", "", "", "", ""),
        (erased.id, "", "Alma", "", "", "", "", ""),
        (uuid.uuid4(), "other", "Alma", "", "", "", "", ""),
        ("no-uuid", "", "Alma", "", "", "", "", ""),
        ("", "ok", "Fine too", "", "", "", "", ""),
        ("", "long", "x" * 201, "", "", "", "", ""),
        ("few", "cells"),
    )
    job = await imports.run(f'{file},,"open\n', mapping={"Ref": "external_id", "town": "community_slug"})
    assert counts(job) == (1, 0, 0, 16)
    refusals = await imports.refusals(job.id)
    assert [(line, column, value) for line, column, value, _ in refusals] == [
        (3, "primary_email", "'=cmd|' /C calc'!A0"),
        (4, "primary_phone", "12"),
        (5, "services_activated", "a;a"),
        (6, "rvm_opted_in", "maybe"),
        (7, "Town", "nowhere"),
        (8, "business_name", ""),
        (9, "", ""),
        (10, "primary_email", "twin@example.org"),
        (11, "ID", str(deleted.id)),
        (12, "ID", str(erased.id)),
        (13, "Ref", "other"),
        (14, "ID", "no-uuid"),
        (15, "Ref", "ok"),
        (16, "business_name", "x" * 199 + "…"),
        (17, "", ""),
        (18, "", ""),
    ]
    assert all(reason for _, _, _, reason in refusals)
    assert "line 2" in refusals[12][3]
    assert sorted(await imports.smbs()) == ["Twin", "ok", "other"]


async def test_which_of_two_rows_about_one_smb_counts_does_not_depend_on_their_order(imports: Imports) -> None:
    desk = imports.desk
    smb = desk.smb(business_name="Alma", external_id="a", primary_email="alma@example.org")
    await desk.create(smb)
    job = await imports.run(
        table(
            ("id", "external_id", "primary_email", "business_name"),
            ("", "", "alma@example.org", "By its email"),
            ("", "a", "", "By its external id"),
            (smb.id, "", "", "By its id"),
            ("", "", "shared@example.org", "Without a key of its own"),
            ("", "s", "Shared@Example.org", "Shared"),
            ("", "", "new@example.org", "New"),
            ("", "", "NEW@example.org", "New again"),
        )
    )
    assert counts(job) == (2, 1, 0, 4)
    assert [line for line, *_ in await imports.refusals(job.id)] == [3, 4, 5, 8]
    assert sorted(row["business_name"] for row in (await imports.smbs()).values()) == ["By its email", "New", "Shared"]


async def test_what_came_before_an_smb_counts_when_an_import_creates_it(imports: Imports) -> None:
    desk = imports.desk
    known, unknown = SmbKey(desk.tenant_id, uuid.uuid4()), SmbKey(desk.tenant_id, uuid.uuid4())
    await desk.apply(clicks(known, 5))
    await desk.approve([approval(known, "Chat")])
    file = table(("id", "business_name"), (known.smb_id, "Known"), (unknown.smb_id, "Unknown"))
    assert counts(await imports.run(file)) == (2, 0, 0, 0)
    row = await desk.row(known)
    assert (row["engagement_score"], json.loads(row["services_approved_pending"])) == (15, ["Chat"])
    told = {smb: [decoded(one).type for one in await desk.told(smb)] for smb in (known, unknown)}
    assert told == {known: ["SMBCreated", "SMBEngagementChanged"], unknown: ["SMBCreated"]}


async def test_a_dry_run_counts_everything_and_changes_nothing(imports: Imports) -> None:
    desk = imports.desk
    await desk.create(desk.smb(external_id="a", business_name="Alma"), desk.smb(external_id="b", business_name="Bela"))
    before = await imports.untouched()
    file = table(
        ("external_id", "business_name", "community_slug"),
        ("a", "Alma", ""),
        ("b", "Béla", ""),
        ("c", "Cora", ""),
        ("d", "Dora", "nowhere"),
    )
    job = await imports.run(file, dry_run=True)
    assert counts(job) == (1, 1, 1, 1)
    assert [line for line, *_ in await imports.refusals(job.id)] == [5]
    assert await imports.untouched() == before
    assert counts(await imports.run(file)) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("file", "options", "error", "field"),
    [
        ("external_id,shoe_size\na,4\n", {}, UnknownColumn, "shoe_size"),
        ("external_id,business_name,Business_Name\n", {}, ColumnTwice, "Business_Name"),
        ("business_name,service_model\n", {}, KeylessFile, "file"),
        ("", {}, EmptyFile, "file"),
        ("external_id\n", {"mapping": {"Name": "business_name"}}, WrongMapping, "mapping"),
        ("external_id\n", {"mapping": {"external_id": "shoe_size"}}, WrongMapping, "mapping"),
        ("external_id\na\nb\nc\n", {"rows_max": 2}, TooManyRows, "file"),
        (f"external_id\n{'a,' * 600_000}\n", {}, FileRefused, "file"),
        ('[{"shoe_size": 4}]', {"file_format": FileFormat.JSON}, UnknownColumn, "shoe_size"),
        ('[{"external_id": "a"}', {"file_format": FileFormat.JSON}, NotAnArray, "file"),
    ],
)
async def test_a_file_that_can_not_be_taken_is_refused_by_name_and_leaves_nothing(
    imports: Imports, file: str, options: dict[str, object], error: type[FileRefused], field: str
) -> None:
    with pytest.raises(error) as refused:
        await imports.upload(file, **options)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert isinstance(refused.value, InvalidField) or refused.value.reason
    # The next one is not held up.
    assert counts(await imports.run("external_id,business_name\na,Alma\n")) == (1, 0, 0, 0)


async def test_one_import_of_a_tenant_runs_at_a_time(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await imports.upload("external_id,business_name\na,Alma\n")
    with pytest.raises(ImportRunning) as running:
        await imports.upload("external_id,business_name\nb,Bela\n")
    assert running.value.job_id == first
    await imports.work()

    # An upload that stands still, and is cancelled.
    standing, reached = asyncio.Event(), asyncio.Event()

    async def stand_still() -> AsyncIterator[bytes]:
        async for piece in pieces("external_id,business_name\n" + "c,Cora\n" * 20_000):
            yield piece
        reached.set()
        await standing.wait()

    monkeypatch.setattr(receiving, "SLICE_ROWS", 100)
    upload = Upload(imports.desk.tenant_id, FileFormat.CSV)
    uploading = asyncio.create_task(receive_import(imports.database, upload, stand_still()))
    await reached.wait()
    with pytest.raises(ImportRunning):
        await imports.upload("external_id,business_name\nb,Bela\n")
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert counts(await imports.run("external_id,business_name\nb,Bela\n")) == (1, 0, 0, 0)
    assert sorted(await imports.smbs()) == ["a", "b"]
