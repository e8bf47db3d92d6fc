"""`smb-crm dead-letters`: really parked letters, looked at and published again."""

import asyncio
import base64
import json

import pytest
from aiokafka import AIOKafkaProducer

from shared.schemas.identity import SmbKey
from tests.commands import smb_crm, succeeds
from tests.installation import Installation, Message, event

KEYS = {
    "id",
    "topic",
    "partition",
    "offset",
    "timestamp",
    "key",
    "value",
    "headers",
    "service",
    "error_class",
    "reason",
    "attempts",
    "replayed_at",
}
HEADERS = (("content-type", b"text/plain"), ("empty", None), ("binary", b"\xff\x00"), ("binary", b"again"))

# Our own code fails on one event, until the trigger of the test is gone.
BREAK = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.reference = 'unlucky' THEN RAISE EXCEPTION 'a bug of ours'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON engagement_events FOR EACH ROW EXECUTE FUNCTION fail()
"""


@pytest.fixture(scope="module")
async def parked(installation: Installation) -> tuple[Installation, SmbKey]:
    """An installation with a letter that never can be applied, and one that our own code failed on."""
    (smb,) = await installation.add_smbs(1)
    for statement in BREAK.split(";\n    CREATE TRIGGER"):
        await installation.fetch(statement if "FUNCTION fail() RETURNS" in statement else f"CREATE TRIGGER{statement}")
    installation.start("engagement")
    await installation.publish([Message("email.opened", b"not JSON \x00\xff [bold]", b"a key", HEADERS, partition=2)])
    await installation.publish([
        event("EmailOpened", smb, id_="unlucky-1", message_id="unlucky"),
        event("EmailOpened", smb, message_id="lucky"),
    ])  # fmt: skip
    await publish_nothing(installation, "email.clicked")
    await installation.idle()
    await installation.fetch("DROP TRIGGER fail ON engagement_events")
    return installation, smb


async def publish_nothing(installation: Installation, topic: str) -> None:
    """A record without key, value and headers, which takes a batch of our own."""
    producer = AIOKafkaProducer(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None)
        await (await producer.send_batch(batch, installation.topics.full_name(topic), partition=0))
    finally:
        await producer.stop()


async def letters(installation: Installation, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        await succeeds(installation.environment, "dead-letters", "list", "--json", *options)
    ).document
    return found


async def test_the_list_for_scripts_has_exactly_the_contracts_fields(parked: tuple[Installation, SmbKey]) -> None:
    installation, _ = parked
    found = await letters(installation)
    assert len(found) == 3
    assert all(set(one) == KEYS for one in found)
    (broken,) = [one for one in found if one["error_class"] == "not_json"]
    assert base64.b64decode(str(broken["value"])) == b"not JSON \x00\xff [bold]"
    assert base64.b64decode(str(broken["key"])) == b"a key"
    assert broken["headers"] == [
        [name, None if value is None else base64.b64encode(value).decode()] for name, value in HEADERS
    ]
    assert (broken["topic"], broken["partition"], broken["service"]) == (
        installation.topics.full_name("email.opened"),
        2,
        "engagement",
    )
    assert broken["replayed_at"] is None
    (empty,) = [one for one in found if one["error_class"] == "no_body"]
    assert (empty["key"], empty["value"], empty["headers"]) == (None, None, [])


async def test_lists_can_be_narrowed_and_shown_to_people(parked: tuple[Installation, SmbKey]) -> None:
    installation, _ = parked
    assert len(await letters(installation, "--error-class", "no_body")) == 1
    assert await letters(installation, "--service", "tier") == []
    out = (await succeeds(installation.environment, "dead-letters", "list")).out
    assert "not_json" in out
    assert "a bug of ours" in out


async def test_a_letter_is_shown_with_its_body_as_text(parked: tuple[Installation, SmbKey]) -> None:
    installation, _ = parked
    (broken,) = await letters(installation, "--error-class", "not_json")
    out = (await succeeds(installation.environment, "dead-letters", "show", str(broken["id"]))).out
    assert r"not JSON \x00\xff [bold]" in out
    assert "a key" in out
    assert "not_json" in out
    failure = (await smb_crm(installation.environment, "dead-letters", "show", "999999")).failure
    assert "there is no dead letter 999999" in failure


async def test_an_unknown_id_replays_nothing(parked: tuple[Installation, SmbKey]) -> None:
    installation, _ = parked
    (broken,) = await letters(installation, "--error-class", "not_json")
    ran = await smb_crm(installation.environment, "dead-letters", "replay", str(broken["id"]), "999998", "999999")
    assert "there is no dead letter 999998, 999999" in ran.failure
    assert all(one["replayed_at"] is None for one in await letters(installation))


async def test_a_repaired_letter_is_applied_once_however_often_it_is_replayed(
    parked: tuple[Installation, SmbKey],
) -> None:
    installation, smb = parked
    (unlucky,) = [one for one in await letters(installation) if "a bug of ours" in str(one["reason"])]
    assert unlucky["attempts"] == 3
    score = "SELECT engagement_score FROM smb_heads WHERE smb_id = $1"
    assert await installation.value(score, smb.smb_id) == 1
    for _ in range(2):
        ran = await succeeds(installation.environment, "dead-letters", "replay", str(unlucky["id"]))
        assert "1 published again" in ran.out
    await installation.idle()
    assert await installation.value(score, smb.smb_id) == 2
    copies = await installation.fetch("SELECT differs FROM repeated_inputs WHERE event_id = 'unlucky-1'")
    assert [copy["differs"] for copy in copies] == [False]
    (again,) = [one for one in await letters(installation) if one["id"] == unlucky["id"]]
    assert again["replayed_at"] is not None
    records = [
        record
        for record in await installation.read_topic("email.opened")
        if json.loads(record.value if record.value.startswith(b"{") else b"{}").get("id") == "unlucky-1"
    ]
    assert len(records) == 3
    assert len({(record.partition, record.key, record.value, tuple(record.headers)) for record in records}) == 1


async def test_what_still_cannot_be_applied_is_parked_again_with_the_same_bytes(
    parked: tuple[Installation, SmbKey],
) -> None:
    installation, _ = parked
    waiting = await letters(installation, "--waiting")
    assert len(waiting) == 2
    ran = await succeeds(installation.environment, "dead-letters", "replay", "--all")
    assert "2 published again" in ran.out
    await installation.idle()
    parked_again = await letters(installation, "--waiting")
    kept = ("topic", "key", "value", "headers", "error_class")
    assert sorted([str([one[name] for name in kept]) for one in parked_again]) == sorted(
        str([one[name] for name in kept]) for one in waiting
    )
    (broken,) = [one for one in parked_again if one["error_class"] == "not_json"]
    assert broken["partition"] == 2


async def test_ids_and_all_exclude_each_other(parked: tuple[Installation, SmbKey]) -> None:
    installation, _ = parked
    ran = await smb_crm(installation.environment, "dead-letters", "replay", "1", "--all")
    assert ran.code == 2


async def test_two_replays_at_once_do_no_harm(parked: tuple[Installation, SmbKey]) -> None:
    installation, smb = parked
    (unlucky,) = [one for one in await letters(installation) if "a bug of ours" in str(one["reason"])]
    before = await installation.value("SELECT engagement_score FROM smb_heads WHERE smb_id = $1", smb.smb_id)
    replay = ("dead-letters", "replay", str(unlucky["id"]))
    await asyncio.gather(*[succeeds(installation.environment, *replay) for _ in range(2)])
    await installation.idle()
    after = await installation.value("SELECT engagement_score FROM smb_heads WHERE smb_id = $1", smb.smb_id)
    assert after == before
