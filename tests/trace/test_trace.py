"""`smb-crm trace`: each fate that a message can have, on real traffic."""

import json
from typing import Any
from uuid import uuid4

import pytest

from shared.schemas.identity import SmbKey
from tests.commands import smb_crm, succeeds
from tests.installation import Installation, Message, event, trigger


@pytest.fixture(scope="module")
async def lived(installation: Installation) -> tuple[Installation, SmbKey, SmbKey]:
    """An SMB with a climb behind it, and one that its tenant does not have."""
    (smb,) = await installation.add_smbs(1)
    unknown = SmbKey(smb.tenant_id, uuid4())
    installation.start("engagement")
    installation.start("tier")
    installation.start("campaign")
    await installation.publish([event("CallbackReceived", smb, id_=f"call-{one}", call_id="c") for one in range(8)])
    await installation.idle()
    await installation.publish([
        event("ApprovalSubmitted", smb, id_=f"approval-{one}", approval_id="a", service="Web") for one in range(4)
    ])  # fmt: skip
    await installation.idle()
    await installation.publish([
        event("CallbackReceived", smb, id_="call-0", call_id="another"),
        event("EmailOpened", unknown, id_="early-bird", message_id="m"),
        Message("email.opened", json.dumps({"specversion": "1.0", "id": "broken-1", "type": "EmailOpened"}).encode()),
        event("PauseCampaign", smb, id_="pause-1", topic="smb.campaign-commands"),
        trigger("RecalculateEngagementScores", id_="nightly-1"),
    ])  # fmt: skip
    await installation.idle()
    return installation, smb, unknown


async def trace(installation: Installation, *arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = (await succeeds(installation.environment, "trace", "--json", *arguments)).document
    return document


async def test_an_applied_event_shows_its_place_its_scores_and_what_it_led_to(
    lived: tuple[Installation, SmbKey, SmbKey],
) -> None:
    installation, smb, _ = lived
    (found,) = (await trace(installation, "approval-3"))["events"]
    assert found["outcome"] == "applied"
    (record,) = [
        one
        for one in await installation.read_topic("approval.submitted")
        if json.loads(one.value)["id"] == "approval-3"
    ]
    assert (found["topic"], found["partition"], found["offset"]) == (record.topic, record.partition, record.offset)
    # Eight callbacks are worth 30 (capped), four approvals 20 more.
    assert found["score_after"] == 50
    assert 30 <= found["score_before"] < 50
    told = {one["type"]: one for one in found["led_to"]}
    on_topic = {one["id"]: one for one in await installation.announcements(smb)}
    for type_ in ("SMBEngagementChanged", "SMBTierChanged"):
        assert told[type_]["state"] == "published"
        announced = on_topic[told[type_]["id"]]
        assert (int(announced["epoch"]), int(announced["sequence"])) == (told[type_]["epoch"], told[type_]["sequence"])


async def test_a_copy_is_a_duplicate_beside_the_applied_one(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, _, _ = lived
    found = await trace(installation, "call-0")
    (applied,), (copy,) = found["events"], found["duplicates"]
    assert copy["differs"]
    assert (copy["partition"], copy["offset"]) != (applied["partition"], applied["offset"])
    out = (await succeeds(installation.environment, "trace", "call-0")).out
    assert "CallbackReceived applied" in out
    assert "CallbackReceived duplicate" in out
    assert "its body differs" in out


async def test_a_dead_letter_is_found_by_the_id_that_it_claims(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, _, _ = lived
    (letter,) = (await trace(installation, "broken-1"))["dead_letters"]
    assert (letter["service"], letter["error_class"]) == ("engagement", "missing_field")
    out = (await succeeds(installation.environment, "trace", "broken-1")).out
    assert f"dead letter {letter['letter_id']} of engagement" in out


async def test_an_event_of_an_unknown_smb_waits(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, _, unknown = lived
    (found,) = (await trace(installation, "early-bird"))["events"]
    assert (found["outcome"], found["smb_id"]) == ("waiting", str(unknown.smb_id))


async def test_a_trigger_shows_its_run(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, _, _ = lived
    (run,) = (await trace(installation, "nightly-1"))["runs"]
    assert (run["outcome"], run["type"]) == ("finished", "RecalculateEngagementScores")
    assert run["shards_done"] == run["shards_total"] == 1


async def test_an_announcement_is_found_by_its_id(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, smb, _ = lived
    found = await trace(installation, f"{smb.tenant_id}/{smb.smb_id}/1/1")
    (told,) = found["told"]
    assert (told["type"], told["sequence"], told["state"]) == ("SMBEngagementChanged", 1, "published")
    assert (
        "told SMBEngagementChanged, epoch 1, sequence 1"
        in (await succeeds(installation.environment, "trace", f"{smb.tenant_id}/{smb.smb_id}/1/1")).out
    )


async def test_a_refused_command_shows_why_and_an_applied_one_what_it_led_to(
    lived: tuple[Installation, SmbKey, SmbKey],
) -> None:
    installation, smb, _ = lived
    (refused,) = (await trace(installation, "pause-1"))["ledger"]
    assert refused["outcome"] == "refused"
    assert "pause is not possible from draft" in refused["reason"]
    await installation.publish([event("StartCampaign", smb, id_="start-1", topic="smb.campaign-commands")])
    await installation.idle()
    (applied,) = (await trace(installation, "start-1"))["ledger"]
    assert applied["outcome"] == "applied"
    assert [one["type"] for one in applied["led_to"]] == ["SMBCampaignChanged"]
    await succeeds(installation.environment, "verify")


async def test_tenant_and_source_narrow_the_search(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, smb, _ = lived
    assert (await trace(installation, "call-1", "--tenant", smb.tenant_id, "--source", "/modules/test"))["events"]
    ran = await smb_crm(installation.environment, "trace", "call-1", "--tenant", uuid4())
    assert "nothing is known of 'call-1'" in ran.failure


async def test_an_id_that_nobody_knows_is_told_in_one_line(lived: tuple[Installation, SmbKey, SmbKey]) -> None:
    installation, _, _ = lived
    for unknown in ("no such id", "a/b/c/d", "'; DROP TABLE smbs; --", '{"quoted": "ä"}'):
        assert "nothing is known of" in (await smb_crm(installation.environment, "trace", unknown)).failure
