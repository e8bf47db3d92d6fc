"""Events for an unknown SMB while it is being created: whoever comes first, nothing is missed."""

import asyncio
import json
import random
import uuid
from collections import Counter

from services.records.profiles import NewSmb
from shared.schemas.announcements import SMBCreated, SMBUpdated
from shared.schemas.envelope import Input
from shared.schemas.identity import SmbKey
from tests.installation import Installation, Message, event
from tests.records.desk import RecordsDesk, approval, clicks, decoded, event_of

ROUNDS = 40


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
    sequences: dict[str, list[int]] = {}
    created = {str(request.id) for request in requests}
    for one in await installation.announcements():
        if one["subject"] in created:
            sequences.setdefault(one["subject"], []).append(int(one["sequence"]))
    assert len(sequences) == 300
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values())


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


async def publish_bit_by_bit(installation: Installation, messages: list[Message]) -> None:
    for start in range(0, len(messages), 200):
        await installation.publish(messages[start : start + 200])


async def create_bit_by_bit(desk: RecordsDesk, requests: list[NewSmb]) -> None:
    for start in range(0, len(requests), 5):
        await desk.create(*requests[start : start + 5])
