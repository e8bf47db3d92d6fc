"""The campaign worker as a process: commands, approvals and the daily advance over Kafka."""

import asyncio
import json
import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.engagement.handler import EngagementHandler
from services.records.handler import RecordsHandler
from services.records.profiles import NewSmb
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.runtime.replay import replay
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.installation import Installation, Message, event, eventually, trigger

COMMANDS = "smb.campaign-commands"
LONG_AHEAD = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()

# As if the campaign of one SMB had begun that many days ago and nobody had looked at it since then.
SHIFT_RUN = """
UPDATE campaigns SET start_date = start_date - $2::int, day_one = day_one - $2::int,
    next_send = next_send - $2::int * interval '1 day', refreshed_at = refreshed_at - $2::int * interval '1 day'
WHERE smb_id = $1
"""
SHIFT_SMB = """
UPDATE smbs SET manifest_destiny_start_date = manifest_destiny_start_date - $2::int,
    next_scheduled_send = next_scheduled_send - $2::int * interval '1 day' WHERE id = $1
"""


@pytest.fixture(scope="module")
async def running(installation: Installation) -> Installation:
    """Two campaign workers."""
    for _ in range(2):
        installation.start("campaign")
    return installation


def command(name: str, smb: SmbKey, *, id_: str | None = None, **data: str) -> Message:
    """A command by its verb."""
    return event(f"{name.capitalize()}Campaign", smb, topic=COMMANDS, id_=id_, time=None, source="/test", **data)


def approved(smb: SmbKey, service: str, *, decision: str = "approved", id_: str | None = None) -> Message:
    approval_id = uuid.uuid4().hex
    return event("ApprovalSubmitted", smb, id_=id_, approval_id=approval_id, service=service, decision=decision)


async def row_of(installation: Installation, smb: SmbKey) -> dict[str, Any]:
    (row,) = await installation.fetch("SELECT * FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
    return dict(row)


async def status_of(installation: Installation, smb: SmbKey) -> str:
    status: str = (await row_of(installation, smb))["campaign_status"]
    return status


async def create(installation: Installation, smb: SmbKey) -> None:
    """Create an SMB as the records service does."""
    policy = Policy.default()
    records = RecordsHandler(policy, EngagementHandler(policy, 5000))
    request = NewSmb(tenant_id=smb.tenant_id, id=smb.smb_id, business_name="A business")

    async def act(transaction: Transaction, now: datetime) -> Outcome:
        return await records.create_smbs(transaction, [request], now)

    await transact(installation.database, installation.topics, [smb], act)


async def shift(installation: Installation, smb: SmbKey, days: int) -> None:
    await installation.fetch(SHIFT_RUN, smb.smb_id, days)
    await installation.fetch(SHIFT_SMB, smb.smb_id, days)


async def advance(installation: Installation) -> None:
    await installation.publish([trigger("AdvanceManifestDestinyDay")])
    await installation.idle()


def assert_one_story(told: list[dict[str, Any]]) -> None:
    """Sequence numbers without a gap, and each old status the new one before."""
    assert [int(one["sequence"]) for one in told] == list(range(1, len(told) + 1))
    moves = [one["data"] for one in told if one["type"] == "SMBCampaignChanged"]
    assert moves[0]["old_status"] == "draft"
    assert all(before["new_status"] == after["old_status"] for before, after in pairwise(moves))


async def test_commands_lead_through_a_campaign_in_the_order_in_which_they_were_sent(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    names = ("start", "pause", "resume", "cancel", "schedule", "schedule", "cancel", "start")
    sent = [command(name, smb, start_date=LONG_AHEAD, reason=f"step {place}") for place, name in enumerate(names)]
    await running.publish(sent)
    await running.idle()
    told = await running.announcements(smb)
    assert_one_story(told)
    assert [one["data"]["reason"] for one in told] == [f"step {place}" for place in range(8)]
    assert [one["causationid"] for one in told] == [json.loads(one.value or b"")["id"] for one in sent]
    row = await row_of(running, smb)
    last = told[-1]["data"]
    assert (row["campaign_status"], row["manifest_destiny_day"]) == ("running", 1) == (last["new_status"], last["day"])
    assert row["next_scheduled_send"] == datetime.fromisoformat(last["next_scheduled_send"])
    assert str(row["current_campaign_id"]) == last["campaign_id"]


async def test_a_refused_command_is_in_the_history_and_nowhere_else(running: Installation) -> None:
    (smb, uncontactable) = await running.add_smbs(2)
    await running.fetch("UPDATE smbs SET do_not_contact = true WHERE id = $1", uncontactable.smb_id)
    letters = await running.value("SELECT count(*) FROM dead_letters")
    impossible = [command("schedule", smb, start_date=day.isoformat()) for day in (date.min, date.max)]
    await running.publish([command("pause", smb), *impossible, command("start", uncontactable)])
    await running.idle()
    reasons = await running.fetch(
        "SELECT reason FROM campaign_transitions"
        " WHERE smb_id = ANY($1::uuid[]) AND outcome = 'refused' ORDER BY reason",
        [smb.smb_id, uncontactable.smb_id],
    )
    assert [row["reason"].partition(":")[0] for row in reasons] == [
        "do_not_contact",
        "start_date_not_ahead",
        "start_date_too_far_ahead",
        "wrong_status",
    ]
    assert await running.announcements(smb) == await running.announcements(uncontactable) == []
    assert await running.value("SELECT count(*) FROM dead_letters") == letters


async def test_a_repeated_command_changes_nothing(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    start = command("start", smb, id_="once")
    await running.publish([start, start, command("cancel", smb, id_="once")])
    await running.publish([start])
    await running.idle()
    assert await status_of(running, smb) == "running"
    assert len(await running.announcements(smb)) == 1
    copies = await running.fetch("SELECT differs FROM repeated_inputs WHERE smb_id = $1 ORDER BY differs", smb.smb_id)
    assert [row["differs"] for row in copies] == [False, False, True]


async def test_a_command_for_an_unknown_smb_is_parked_and_applied_once_when_replayed(running: Installation) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    await running.publish([command("start", smb)])
    await running.idle()
    (letter,) = await running.fetch("SELECT * FROM dead_letters WHERE key = $1", str(smb.smb_id).encode())
    assert (letter["service"], letter["error_class"]) == ("campaign", "unknown_smb")

    await create(running, smb)
    for _ in range(2):
        await replay(running.settings, running.database, [letter["id"]], lambda: None)
    await running.idle()
    assert await status_of(running, smb) == "running"
    told = await running.announcements(smb)
    assert_one_story(told)
    assert [one["type"] for one in told] == ["SMBCreated", "SMBCampaignChanged"]


async def test_approvals_become_pending_services_once_and_in_order(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    mail = approved(smb, "Mail")
    await running.publish([mail, approved(smb, "Web"), mail, approved(smb, "Calls", decision="rejected")])
    await running.publish([approved(smb, "Mail"), mail])
    await running.idle()
    assert json.loads((await row_of(running, smb))["services_approved_pending"]) == ["Mail", "Web"]
    told = await running.announcements(smb, "SMBUpdated")
    assert [one["data"]["changes"] for one in told] == [
        {"services_approved_pending": {"old": [], "new": ["Mail"]}},
        {"services_approved_pending": {"old": ["Mail"], "new": ["Mail", "Web"]}},
    ]


async def test_approvals_that_came_before_the_smb_are_taken_over_by_its_creation(running: Installation) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    await running.publish([approved(smb, "Mail"), approved(smb, "Web")])
    await running.idle()
    await create(running, smb)
    await running.publish([approved(smb, "Calls"), approved(smb, "Web")])
    await running.idle()
    assert json.loads((await row_of(running, smb))["services_approved_pending"]) == ["Mail", "Web", "Calls"]
    created, updated = await running.announcements(smb)
    assert created["data"]["services_approved_pending"] == ["Mail", "Web"]
    assert updated["data"]["changes"]["services_approved_pending"]["new"] == ["Mail", "Web", "Calls"]


async def test_what_does_not_decode_on_the_approvals_topic_is_left_to_the_engagement_service(
    running: Installation,
) -> None:
    (smb,) = await running.add_smbs(1)
    letters = await running.value("SELECT count(*) FROM dead_letters")
    await running.publish([Message("approval.submitted", b"nonsense"), approved(smb, "Mail")])
    await running.idle()
    assert json.loads((await row_of(running, smb))["services_approved_pending"]) == ["Mail"]
    assert await running.value("SELECT count(*) FROM dead_letters") == letters


async def test_the_daily_advance_moves_starts_and_completes(running: Installation) -> None:
    moved, completed, scheduled, missed = smbs = await running.add_smbs(4)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    await running.publish([command("start", moved), command("start", completed)])
    await running.publish([command("schedule", smb, start_date=LONG_AHEAD) for smb in (scheduled, missed)])
    await running.idle()
    await shift(running, moved, 10)
    await shift(running, completed, 91)
    await shift(running, missed, 50)
    await running.publish([command("schedule", scheduled, start_date=tomorrow)])
    await running.idle()
    # Two at once, and one that the scheduler sent a week ago.
    week_ago = datetime.now(UTC) - timedelta(days=7)
    late = trigger("AdvanceManifestDestinyDay", time=week_ago, scheduled_for=week_ago)
    await running.publish([trigger("AdvanceManifestDestinyDay"), trigger("AdvanceManifestDestinyDay"), late, late])
    await running.idle()
    stories = [await running.announcements(smb) for smb in smbs]
    for story in stories:
        assert_one_story(story)
    moves = [[one["data"]["new_status"] for one in story] for story in stories]
    assert moves[0] == ["running"]
    assert moves[1] == ["running", "completed"]
    assert moves[3] == ["scheduled", "running"]
    # Tomorrow's send is less than 25 hours ahead only from 08:00 on.
    assert moves[2][:2] == ["scheduled", "scheduled"]
    days = {smb: (await row_of(running, smb))["manifest_destiny_day"] for smb in smbs}
    assert (days[moved], days[completed], days[missed]) == (11, 90, 1)
    assert await running.value("SELECT count(*) FROM job_runs") == 3
    before = [await row_of(running, smb) for smb in smbs]
    await advance(running)
    assert [await row_of(running, smb) for smb in smbs] == before


async def test_a_flood_of_approvals_and_commands_is_applied_whole(running: Installation) -> None:
    smbs = await running.add_smbs(300)
    messages = [approved(smb, f"Service {number % 4}") for number in range(10) for smb in smbs]
    messages += [command(name, smb) for name in ("start", "pause", "resume") for smb in smbs]
    await asyncio.gather(*[running.publish(messages[start::3]) for start in range(3)])
    await running.idle()
    counts = await running.fetch(
        "SELECT services_approved_pending, count(*) FROM smbs WHERE id = ANY($1::uuid[])"
        " GROUP BY services_approved_pending",
        [smb.smb_id for smb in smbs],
    )
    assert all(sorted(json.loads(row[0])) == [f"Service {number}" for number in range(4)] for row in counts)
    announcements = await running.announcements()
    for smb in smbs:
        story = [one for one in announcements if one["subject"] == str(smb.smb_id)]
        assert [int(one["sequence"]) for one in story] == list(range(1, len(story) + 1))
        assert sum(one["type"] == "SMBUpdated" for one in story) == 4


async def test_another_tenants_smb_of_the_same_id_knows_nothing_of_it(running: Installation) -> None:
    (smb,) = await running.add_smbs(1)
    twin = SmbKey(uuid.uuid4(), smb.smb_id)
    await create(running, twin)
    await running.publish([command("start", smb, id_="shared"), approved(smb, "Mail", id_="shared")])
    await running.idle()
    row = await row_of(running, twin)
    assert (row["campaign_status"], json.loads(row["services_approved_pending"])) == ("draft", [])
    assert [one["type"] for one in await running.announcements(twin)] == ["SMBCreated"]
    await running.publish([command("start", twin, id_="shared")])
    await eventually(lambda: status_is(running, twin, "running"), "the twin's own command is applied")


async def status_is(installation: Installation, smb: SmbKey, status: str) -> bool:
    return await status_of(installation, smb) == status
