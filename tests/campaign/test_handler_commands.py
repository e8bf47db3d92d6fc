"""Commands in one transaction: what they store, tell and refuse."""

import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from tests.campaign.desk import NOW, CampaignDesk, command, moves

ONE_DAY = timedelta(days=1)
NEXT_SEND = datetime(2026, 6, 2, 9, tzinfo=UTC)


async def test_a_start_is_stored_in_the_run_the_smb_and_the_history_and_told(desk: CampaignDesk) -> None:
    smb = await desk.add()
    start = command("start", smb, reason="signed up")
    outcome = await desk.apply(start)
    assert (outcome.applied, outcome.repeated, outcome.refused) == (1, 0, 0)
    (run,) = await desk.runs(smb)
    row = await desk.smb(smb)
    assert row["campaign_status"] == run["status"] == "running"
    assert row["current_campaign_id"] == run["id"]
    assert row["manifest_destiny_day"] == run["day"] == 1
    assert row["manifest_destiny_start_date"] == run["start_date"] == run["day_one"] == date(2026, 6, 2)
    assert row["next_scheduled_send"] == run["next_send"] == NEXT_SEND
    assert row["updated_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert await desk.history(smb) == [("start", "applied", "draft", "running", "signed up")]
    (told,) = outcome.announcements
    assert told.causation_id == start.id
    assert told.data.model_dump() == {
        "smb_id": smb.smb_id,
        "old_status": "draft",
        "new_status": "running",
        "campaign_id": run["id"],
        "day": 1,
        "day_one": date(2026, 6, 2),
        "start_date": date(2026, 6, 2),
        "timezone": "UTC",
        "next_scheduled_send": NEXT_SEND,
        "reason": "signed up",
    }


async def test_several_commands_of_one_batch_are_applied_in_the_order_of_arrival(desk: CampaignDesk) -> None:
    smb, other = await desk.add(), await desk.add()
    names = ("start", "pause", "resume", "cancel", "start", "cancel", "schedule")
    commands = [command(name, smb, start_date=date(2026, 7, 1)) for name in names]
    outcome = await desk.apply(command("start", other), *commands, command("pause", other))
    assert outcome.applied == 9
    about_smb = [one for one in outcome.announcements if one.smb == smb]
    outcome.announcements = about_smb
    statuses = ["draft", "running", "paused", "running", "cancelled", "running", "cancelled", "scheduled"]
    assert moves(outcome) == list(pairwise(statuses))
    assert [action for action, *_ in await desk.history(smb)] == list(names)
    assert [run["status"] for run in await desk.runs(smb)] == ["cancelled", "cancelled", "scheduled"]
    assert [run["ended_at"] is None for run in await desk.runs(smb)] == [False, False, True]
    assert await desk.standing(smb) == ("scheduled", None, None)
    assert await desk.standing(other) == ("paused", 1, None)
    assert await desk.differences(smb, other) == []


async def test_the_newest_run_is_known_also_when_two_began_and_ended_at_one_moment(desk: CampaignDesk) -> None:
    smb = await desk.add()
    names = ("start", "cancel", "schedule", "cancel")
    await desk.apply(*[command(name, smb, start_date=date(2026, 7, 1)) for name in names])
    first, second = await desk.runs(smb)
    assert (first["day"], second["day"]) == (1, None)
    assert await desk.standing(smb) == ("cancelled", None, None)
    assert await desk.differences(smb) == []
    await desk.apply(command("start", smb), now=NOW + ONE_DAY)
    assert await desk.standing(smb) == ("running", 1, NEXT_SEND + ONE_DAY)


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ((), "pause"),
        ((), "resume"),
        ((), "cancel"),
        (("start",), "start"),
        (("start",), "schedule"),
        (("start",), "resume"),
        (("start", "pause"), "pause"),
        (("start", "pause"), "start"),
        (("schedule",), "pause"),
        (("start", "cancel"), "cancel"),
    ],
)
async def test_a_move_that_is_not_possible_is_refused_by_name_and_tells_nothing(
    desk: CampaignDesk, before: tuple[str, ...], refused: str
) -> None:
    smb = await desk.add()
    for name in before:
        await desk.apply(command(name, smb, start_date=date(2026, 7, 1)))
    stood = await desk.standing(smb)
    one = command(refused, smb, start_date=date(2026, 7, 1))
    outcome = await desk.apply(one)
    assert (outcome.applied, outcome.refused, outcome.announcements) == (0, 1, [])
    assert await desk.standing(smb) == stood
    action, result, old_status, new_status, reason = (await desk.history(smb))[-1]
    assert (action, result, old_status, new_status) == (refused, "refused", stood[0], stood[0])
    assert reason == f"wrong_status: {refused} is not possible from {stood[0]}"
    assert (await desk.ledger(smb))[-1] == (one.type, "refused", None)

    again = await desk.apply(one)
    assert (again.refused, again.repeated, again.copies) == (0, 1, [])
    assert len(await desk.history(smb)) == len(before) + 1


@pytest.mark.parametrize("start_date", [date.min, date(2026, 5, 31), date(2026, 6, 1), date(9999, 1, 1), date.max])
async def test_dates_that_are_past_or_beyond_the_calendar_are_refused(desk: CampaignDesk, start_date: date) -> None:
    smb = await desk.add()
    outcome = await desk.apply(command("schedule", smb, start_date=start_date))
    assert outcome.refused == 1
    assert await desk.standing(smb) == ("draft", None, None)


async def test_contact_is_refused_while_do_not_contact_is_set(desk: CampaignDesk) -> None:
    smb = await desk.add(do_not_contact=True)
    outcome = await desk.apply(command("start", smb), command("schedule", smb, start_date=date(2026, 7, 1)))
    assert outcome.refused == 2
    assert [reason.partition(":")[0] for *_, reason in await desk.history(smb) if reason] == ["do_not_contact"] * 2
    assert await desk.standing(smb) == ("draft", None, None)


async def test_a_soft_deleted_smb_refuses_commands(desk: CampaignDesk) -> None:
    smb = await desk.add(deleted_at=NOW)
    outcome = await desk.apply(command("start", smb))
    assert (outcome.refused, outcome.announcements) == (1, [])
    ((*_, reason),) = await desk.history(smb)
    assert reason == "smb_deleted: start is not possible from draft: the SMB is deleted"


async def test_an_erased_smb_is_counted_and_nothing_is_kept(desk: CampaignDesk) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *smb)
    outcome = await desk.apply(command("start", smb))
    assert (outcome.erased, outcome.rejected) == (1, [])
    assert await desk.ledger(smb) == []


async def test_a_command_for_an_unknown_smb_leaves_its_identity_unused(desk: CampaignDesk) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    start = command("start", smb)
    outcome = await desk.apply(start)
    ((rejected, error),) = outcome.rejected
    assert (rejected, error.error_class) == (start, "unknown_smb")
    await desk.add(key=smb)
    assert (await desk.apply(start)).applied == 1


async def test_a_repeated_command_changes_nothing_and_says_whether_it_differs(desk: CampaignDesk) -> None:
    smb = await desk.add()
    start = command("start", smb, id_="the-id")
    same = elsewhere(start)
    other = command("cancel", smb, id_="the-id")
    outcome = await desk.apply(start, same)
    assert (outcome.applied, outcome.repeated) == (1, 1)
    assert [(copy.input, copy.differs) for copy in outcome.copies] == [(same, False)]
    outcome = await desk.apply(start, same, other)
    assert (outcome.applied, outcome.repeated, outcome.announcements) == (0, 3, [])
    assert [(copy.input, copy.differs) for copy in outcome.copies] == [(same, False), (other, True)]
    assert (await desk.standing(smb))[0] == "running"


async def test_a_command_that_the_ledger_may_have_forgotten_counts_as_repeated(desk: CampaignDesk) -> None:
    smb = await desk.add()
    old = command("start", smb, time=NOW - timedelta(days=35, microseconds=1))
    outcome = await desk.apply(old, command("schedule", smb, start_date=date(2026, 7, 1), time=NOW - 35 * ONE_DAY))
    assert (outcome.repeated, outcome.applied) == (1, 1)
    assert (await desk.standing(smb))[0] == "scheduled"


async def test_another_tenants_smb_of_the_same_id_is_not_touched(desk: CampaignDesk) -> None:
    smb = await desk.add()
    twin = await desk.add(key=SmbKey(uuid.uuid4(), smb.smb_id))
    await desk.apply(command("start", smb, id_="shared"))
    assert await desk.standing(twin) == ("draft", None, None)
    assert await desk.history(twin) == []
    outcome = await desk.apply(command("start", twin, id_="shared"))
    assert (outcome.applied, outcome.repeated) == (1, 0)


async def test_a_command_first_brings_the_run_up_to_now(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    outcome = await desk.apply(command("pause", smb, reason="holidays"), now=NEXT_SEND + timedelta(hours=1))
    assert moves(outcome) == [("running", "paused")]
    assert await desk.standing(smb) == ("paused", 2, None)

    await desk.apply(command("resume", smb), now=NEXT_SEND + 10 * ONE_DAY)
    row = await desk.smb(smb)
    assert row["manifest_destiny_day"] == 2
    assert row["manifest_destiny_start_date"] == date(2026, 6, 2)
    (run,) = await desk.runs(smb)
    assert run["day_one"] == date(2026, 6, 12)

    end = NEXT_SEND + 200 * ONE_DAY
    late = await desk.apply(command("pause", smb, time=end), now=end)
    assert (late.refused, moves(late)) == (1, [("running", "completed")])
    assert [step[:2] for step in (await desk.history(smb))[-2:]] == [("complete", "applied"), ("pause", "refused")]
    assert await desk.standing(smb) == ("completed", 90, None)
    assert await desk.differences(smb) == []


def elsewhere(message: Input) -> Input:
    """The same message from another place in Kafka."""
    return message._replace(place=message.place._replace(partition=message.place.partition + 1))


async def test_a_command_that_was_parked_stays_so_when_its_topic_is_read_again(desk: CampaignDesk) -> None:
    smb = await desk.add()
    parked, replayed = command("start", smb, id_="parked"), command("start", smb, id_="parked")
    await desk.fetch(
        "INSERT INTO dead_letters (consumer_group, topic, partition_number, partition_offset, headers, service,"
        " error_class, reason, attempts, parked_at, fingerprint)"
        " VALUES ('campaign', $1, $2, $3, '[]', 'campaign', 'unknown_smb', 'no such SMB', 1, now(),"
        " decode(repeat('00', 16), 'hex'))",
        *parked.place,
    )
    again = await desk.apply(parked)
    assert [error.error_class for _, error in again.rejected] == ["unknown_smb"]
    assert (await desk.standing(smb))[0] == "draft"
    assert (await desk.apply(replayed)).applied == 1
