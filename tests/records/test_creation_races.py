"""Events and commands for an unknown SMB while it is being created: whoever comes first, nothing is missed."""

import asyncio
import json
import random
import uuid
from collections import Counter

from services.records.profiles import NewSmb
from shared.schemas.announcements import SMBCreated, SMBUpdated
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC
from tests.installation import Installation, Message, event
from tests.records.desk import RecordsDesk, approval, clicks, decoded, event_of

ROUNDS = 20


def batches_of(smb: SmbKey) -> list[list[Input]]:
    """Events that together fill every group, in batches that each fill one."""
    return [
        [event_of("EmailOpened", smb, message_id=f"o-{one}") for one in range(25)],
        [*clicks(smb, 10)],
        [event_of("ContentViewed", smb, content_id=f"c-{one}") for one in range(10)],
        approvals(smb),
    ]


async def test_events_that_race_with_the_creation_are_all_counted(desk: RecordsDesk) -> None:
    orders: Counter[int] = Counter()
    for number in range(ROUNDS):
        request = desk.smb(business_name=f"Shop {number}")
        acts = [desk.apply(events) for events in batches_of(request.key)]
        acts.insert(number % 5, desk.create(request))
        await asyncio.gather(*acts)

        row = await desk.row(request.key)
        assert row["engagement_score"] == 100
        assert None not in (row["last_email_open"], row["last_email_click"], row["last_content_view"])
        told = [decoded(one) for one in await desk.told(request.key)]
        assert [one.type for one in told] == ["SMBCreated"] + ["SMBEngagementChanged"] * (len(told) - 1)
        changes = [one.data.model_dump() for one in told[1:]]
        assert [change["old_score"] for change in changes] == [0] + [change["new_score"] for change in changes[:-1]]
        assert changes[-1]["new_score"] >= 90
        orders[changes[0]["new_score"]] += 1
    # Creations came before, between and after the events: otherwise this has tested nothing.
    assert len(orders) > 1


async def test_approvals_that_race_with_the_creation_are_all_pending(desk: RecordsDesk) -> None:
    told_by: set[str] = set()
    for number in range(ROUNDS):
        request = desk.smb(business_name=f"Shop {number}", services_activated=("Website",))
        acts = [desk.approve([approval(request.key, service)]) for service in ("Listing", "Website", "Chat")]
        acts.insert(number % 4, desk.create(request))
        await asyncio.gather(*acts)

        pending = json.loads((await desk.row(request.key))["services_approved_pending"])
        assert sorted(pending) == ["Chat", "Listing"]
        told = [decoded(one) for one in await desk.told(request.key)]
        assert [one.type for one in told] == ["SMBCreated"] + ["SMBUpdated"] * (len(told) - 1)
        assert list(pending_after(told[-1])) == pending
        told_by.add(told[-1].type)
    assert told_by == {"SMBCreated", "SMBUpdated"}


async def test_creations_of_one_name_that_race_all_get_slugs(desk: RecordsDesk) -> None:
    await asyncio.gather(*(desk.create(desk.smb(), desk.smb(business_name="Café Alma 2")) for _ in range(10)))
    rows = await desk.fetch("SELECT slug FROM smbs WHERE tenant_id = $1", desk.tenant_id)
    assert len({row["slug"] for row in rows}) == 20


async def test_creations_of_one_id_that_race_succeed_once(desk: RecordsDesk) -> None:
    for number in range(10):
        request = desk.smb(business_name=f"Shop {number}")
        results = await asyncio.gather(*(desk.create(request) for _ in range(3)), return_exceptions=True)
        assert Counter(type(result).__name__ for result in results) == {"Outcome": 1, "IdTaken": 2}
        assert len(await desk.told(request.key)) == 1


async def test_a_worker_that_reads_events_while_smbs_are_created_misses_none(
    installation: Installation, desk: RecordsDesk
) -> None:
    installation.start("engagement")
    requests = [desk.smb(business_name=f"Shop {number}") for number in range(300)]
    messages = [message for request in requests for message in messages_about(request.key)]
    random.Random(19).shuffle(messages)
    await installation.publish(messages[:1])
    await installation.idle()

    await asyncio.gather(
        publish_bit_by_bit(installation, messages[1:]),
        *(create_bit_by_bit(desk, requests[start::4]) for start in range(4)),
    )
    await installation.idle()

    scores = await desk.fetch(
        "SELECT engagement_score, count(*) AS smbs FROM smb_overview WHERE tenant_id = $1 GROUP BY 1", desk.tenant_id
    )
    assert [tuple(row) for row in scores] == [(22, 300)]
    for request in requests:
        told = [decoded(one) for one in await desk.told(request.key)]
        assert [one.type for one in told] == ["SMBCreated"] + ["SMBEngagementChanged"] * (len(told) - 1)
        assert told[-1].data.model_dump()["new_score"] >= 12
    stories = await told_on_the_topic(installation, requests)
    assert len(stories) == 300
    assert all([number for number, _ in story] == list(range(1, len(story) + 1)) for story in stories.values())


async def test_a_command_that_races_with_the_creation_is_applied_or_parked_and_never_both(
    installation: Installation, desk: RecordsDesk
) -> None:
    installation.start("campaign")
    requests = [desk.smb(business_name=f"Shop {number}") for number in range(300)]
    commands = [start_of(request.key) for request in requests]
    random.Random(19).shuffle(commands)
    await installation.publish([start_of(SmbKey(uuid.uuid4(), uuid.uuid4()))])
    await installation.idle()

    await asyncio.gather(
        publish_bit_by_bit(installation, commands, 20),
        *(create_bit_by_bit(desk, requests[start::4]) for start in range(4)),
    )
    await installation.idle()

    taken = await desk.fetch("SELECT smb_id, outcome FROM campaign_inputs WHERE tenant_id = $1", desk.tenant_id)
    parked = await desk.fetch("SELECT smb_id, error_class FROM dead_letters WHERE tenant_id = $1", desk.tenant_id)
    ends = Counter(row["smb_id"] for row in (*taken, *parked))
    assert ends == dict.fromkeys([request.id for request in requests], 1)
    assert {row["outcome"] for row in taken} == {"applied"}
    assert {row["error_class"] for row in parked} == {"unknown_smb"}
    started = {row["smb_id"] for row in taken}
    # Commands came before and after: otherwise this has tested nothing.
    assert 0 < len(started) < len(requests)
    rows = await desk.fetch("SELECT id, campaign_status FROM smbs WHERE tenant_id = $1", desk.tenant_id)
    assert all(row["campaign_status"] == ("running" if row["id"] in started else "draft") for row in rows)
    stories = await told_on_the_topic(installation, requests)
    story = [(1, "SMBCreated"), (2, "SMBCampaignChanged")]
    assert stories == {str(request.id): story[: 1 + (request.id in started)] for request in requests}


def start_of(smb: SmbKey) -> Message:
    return event("StartCampaign", smb, topic=CAMPAIGN_COMMANDS_TOPIC)


async def told_on_the_topic(installation: Installation, requests: list[NewSmb]) -> dict[str, list[tuple[int, str]]]:
    """Number and type of what stands on the topic about each of these SMBs."""
    found: dict[str, list[tuple[int, str]]] = {}
    created = {str(request.id) for request in requests}
    for one in await installation.announcements():
        if one["subject"] in created:
            found.setdefault(one["subject"], []).append((int(one["sequence"]), one["type"]))
    return found


def approvals(smb: SmbKey) -> list[Input]:
    return [approval(smb, "Listing") for _ in range(5)]


def pending_after(message: Input) -> tuple[str, ...]:
    """The pending services that an announcement tells of."""
    if isinstance(message.data, SMBCreated):
        return message.data.services_approved_pending
    assert isinstance(message.data, SMBUpdated)
    assert message.data.changes.services_approved_pending
    return message.data.changes.services_approved_pending.new


def messages_about(smb: SmbKey) -> list[Message]:
    """22 points."""
    return [
        *(event("CallbackReceived", smb, call_id=f"c-{one}") for one in range(2)),
        *(event("EmailClicked", smb, message_id=f"m-{one}", url="https://example.test/") for one in range(3)),
        *(event("EmailOpened", smb, message_id=f"o-{uuid.uuid4()}") for one in range(3)),
    ]


async def publish_bit_by_bit(installation: Installation, messages: list[Message], at_once: int = 200) -> None:
    for start in range(0, len(messages), at_once):
        await installation.publish(messages[start : start + at_once])


async def create_bit_by_bit(desk: RecordsDesk, requests: list[NewSmb]) -> None:
    for start in range(0, len(requests), 5):
        await desk.create(*requests[start : start + 5])
