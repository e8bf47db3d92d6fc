"""An SMB that was erased stays so, whatever is read again; nothing about it is left in any table."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.api.application import create_application
from services.api.credentials import mint
from services.api.parts import Parts
from services.api.roles import Role
from services.trace import Sought, Tracer
from services.verify import verify
from shared.runtime.positions import Positions
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC, Service
from tests.api.client import Client
from tests.dump import tables_holding
from tests.faults.scene import metric
from tests.installation import Installation, Message, WorkerProcess, event, eventually, trigger

SERVICES: tuple[Service, ...] = ("engagement", "campaign", "records")
# Where something personal stands once an SMB has gone through everything.
PERSONAL = {
    "smbs",
    "engagement_events",
    "campaign_inputs",
    "campaign_transitions",
    "outgoing_messages",
    "dead_letters",
    "repeated_inputs",
    "idempotency_keys",
    "import_refusals",
}
# What may tell that there was such an id.
MARKS = {"smb_heads", "open_erasures", "outgoing_messages", "job_shards"}


@dataclass(frozen=True)
class Owner:
    """A person behind an SMB: a word that stands in everything personal but the phone number."""

    smb: SmbKey
    word: str
    phone: str

    @property
    def traces(self) -> tuple[str, str]:
        """What must not be found."""
        return self.word, self.phone

    @property
    def email(self) -> str:
        """The address."""
        return f"owner@{self.word}.example"

    def events(self) -> list[Message]:
        """Every kind of event, with what is personal in it, and copies that differ."""
        phone, word, number = self.phone, self.word, iter(range(100))

        def one(type_: str, **data: Any) -> Message:  # noqa: ANN401  whatever the type has
            return event(type_, self.smb, id_=f"{word}-{next(number)}", **data)

        messages = [
            one("EmailOpened", message_id=f"{word}-letter", campaign_id=word),
            one("EmailClicked", message_id=f"{word}-letter", url=f"https://{word}.example/offer"),
            one("CallbackReceived", call_id=f"{word}-call", phone=phone),
            one("RVMDelivered", drop_id=f"{word}-drop"),
            one("ContentViewed", content_id=f"{word}-article"),
            *(one("ApprovalSubmitted", approval_id=word, service=f"{word} website") for _ in range(3)),
        ]
        (again,) = (one for one in messages if one.topic == "callback.received")
        return [*messages, other_bytes(again, f"{word}-call", f"{word}-another-call")]

    def broken(self) -> list[Message]:
        """What can't be decoded, and names the SMB in different ways, or only by its key."""
        sound = event("CallbackReceived", self.smb, id_=f"{self.word}-broken", call_id=self.word, phone=self.phone)
        someone = str(uuid.uuid4())
        return [
            other_bytes(sound, '"call_id"', '"call_idd"'),
            other_bytes(sound, '"subject": "', f'"subject": "{someone}", "was": "'),
            other_bytes(sound, '"tenantid"', '"tenantidd"'),
            replace(sound, value=(sound.value or b"")[:-60]),
            replace(sound, value=f"not JSON, of {self.word}".encode()),
            replace(sound, value=f'{{"smb_id": {self.smb.smb_id.hex.upper()}, {self.phone}'.encode(), key=None),
        ]

    def rows(self) -> str:
        """A file in which every row is about the SMB and none is right."""
        lines = [
            f"{self.smb.smb_id},{self.word} quilts,{self.email},{self.word} has no phone,{self.word}-1",
            f",{self.word} quilts,{self.email},{self.word} has none either,",
            f",{self.phone},{self.word},{self.phone},{self.word}-1",
        ]
        return "\n".join(["id,business_name,primary_email,primary_phone,external_id", *lines, ""])

    def commands(self) -> list[Message]:
        """Commands that are applied and one that is refused, with reasons."""
        start = event("StartCampaign", self.smb, topic=CAMPAIGN_COMMANDS_TOPIC, reason=f"{self.word} asked for it")
        pause = event("PauseCampaign", self.smb, topic=CAMPAIGN_COMMANDS_TOPIC, reason=f"call {self.phone} first")
        return [start, pause, event("PauseCampaign", self.smb, topic=CAMPAIGN_COMMANDS_TOPIC, reason=self.word), pause]


def other_bytes(message: Message, old: str, new: str) -> Message:
    """The same message with a part of its body exchanged."""
    assert message.value is not None
    assert old.encode() in message.value
    return replace(message, value=message.value.replace(old.encode(), new.encode()))


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    """An administrator of a tenant, asking an API of this installation."""
    settings = installation.settings.model_copy(update={"jwt_key": SecretStr("a key for tests that is long enough")})
    parts = Parts.of(settings)
    transport = httpx.ASGITransport(create_application(parts), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        tenant_id = uuid.uuid4()
        yield Client(http, settings, tenant_id, mint(settings, tenant_id, Role.ADMIN, "tester", timedelta(hours=1)))
    await parts.database.close()


async def live(installation: Installation, client: Client, owner: Owner) -> None:
    """Take an SMB through everything that there is, its events before it."""
    await installation.publish(owner.events())
    await installation.idle()
    word, path = owner.word, f"/smbs/{owner.smb.smb_id}"
    await client.create_smb(
        id=str(owner.smb.smb_id), business_name=f"{word} quilts", primary_email=owner.email, external_id=f"{word}-1"
    )
    changes = {"primary_phone": owner.phone, "business_description": f"All about {word}"}
    context = {"owner": word, "private": [owner.phone]}
    for method, where, body in (("PATCH", path, changes), ("PUT", f"{path}/business-context", context)):
        answer = await client.ask(method, where, json=body, headers={"Idempotency-Key": f"{method}-{owner.smb.smb_id}"})
        assert answer.status_code == 200, answer.text
    await upload(client, owner)
    await installation.publish([*owner.broken(), *owner.commands(), *owner.events()])
    await installation.idle()
    assert (await client.ask("DELETE", path)).status_code == 204
    assert (await client.ask("POST", f"{path}/restore")).status_code == 200
    await installation.idle()


async def upload(client: Client, owner: Owner, rows: int = 3) -> None:
    """Import the first rows of the owner's file, each of which is refused."""
    content = "".join(owner.rows().splitlines(keepends=True)[: rows + 1])
    answer = await client.ask("POST", "/smbs/import", content=content, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 202, answer.text
    job = await client.get(f"/smbs/import/{answer.json()['id']}/status")
    assert (job["status"], job["refused"]) == ("finished", rows)


async def test_nothing_is_left_of_an_erased_smb_and_reading_everything_again_brings_nothing_back(
    installation: Installation, client: Client
) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    by_hand, by_cleanup, bystander = (
        Owner(SmbKey(client.tenant_id, uuid.uuid4()), word, f"+12125550{number}")
        for number, word in enumerate(("zanzibar", "marrakesh", "timbuktu"), 100)
    )
    workers = start(installation)
    url = installation.settings.database_url.get_secret_value()
    for owner in (by_hand, by_cleanup, bystander):
        await live(installation, client, owner)
        assert await tables_holding(url, owner.traces) == PERSONAL

    paths = {owner: f"/smbs/{owner.smb.smb_id}" for owner in (by_hand, by_cleanup)}
    assert (await client.ask("POST", f"{paths[by_hand]}/erase")).status_code == 204
    assert (await client.ask("DELETE", paths[by_cleanup])).status_code == 204
    await installation.fetch(
        "UPDATE smbs SET deleted_at = deleted_at - interval '91 days' WHERE id = $1", by_cleanup.smb.smb_id
    )
    await installation.publish([trigger("CleanupDeletedSMBs")])
    await installation.idle()
    await swept(installation)
    for owner in (by_hand, by_cleanup):
        await is_gone(installation, client, owner)

    # As an operator does, or a restored backup: every record is read once more.
    assert [worker.terminate() for worker in workers] == [0, 0, 0]
    before = await state_of(installation, bystander.smb)
    async with Positions(installation.settings) as positions:
        for group, topics in installation.topics.groups(SERVICES).items():
            await positions.rewind(group, topics, began)
    workers = start(installation)
    await installation.publish([*by_hand.events(), *by_cleanup.broken()])
    # The other rows don't say that they are about it: they would be somebody new.
    await upload(client, by_hand, rows=1)
    await installation.idle()
    await swept(installation)
    for owner in (by_hand, by_cleanup):
        await is_gone(installation, client, owner)
    assert await tables_holding(url, bystander.traces) == PERSONAL
    assert await state_of(installation, bystander.smb) == before
    # Of each the events stand in Kafka twice; of one they came once more, of the other what can't be decoded.
    events, broken = len(by_hand.events()), len(by_hand.broken())
    erased = metric(workers[0].ops("/metrics")[1], "smb_erased_inputs_total", service="engagement")
    assert erased >= 2 * (2 * events + broken) + events + broken
    found = await verify(installation.database, Policy.default())
    assert (found.smbs_checked, found.mismatches) == (3, 0)
    sought = Sought(f"{by_hand.word}-0")
    trace = await Tracer(installation.database, installation.topics, Policy.default(), sought).follow(lambda _: None)
    assert not trace.found


def start(installation: Installation) -> list[WorkerProcess]:
    """Start the workers that know of SMBs."""
    return [installation.start(name) for name in SERVICES]


async def swept(installation: Installation) -> None:
    """Wait until the records worker has looked for what an erasure had to leave."""

    async def all_swept() -> bool:
        return bool(await installation.value("SELECT bool_and(is_swept) FROM open_erasures"))

    await eventually(all_swept, "every erasure is swept")


async def is_gone(installation: Installation, client: Client, owner: Owner) -> None:
    """Nothing tells of it but its mark, and its story ends with its erasure."""
    url = installation.settings.database_url.get_secret_value()
    assert await tables_holding(url, owner.traces) == set()
    assert await tables_holding(url, [str(owner.smb.smb_id), owner.smb.smb_id.hex]) <= MARKS
    answer = await client.ask("POST", "/smbs", json={"id": str(owner.smb.smb_id), "business_name": "Again"})
    assert answer.status_code == 409, answer.text
    told = [(one["type"], int(one["sequence"])) for one in await installation.announcements(owner.smb)]
    assert [number for _, number in told] == list(range(1, len(told) + 1))
    assert [type_ for type_, _ in told if type_ == "SMBErased"] == [told[-1][0]]
    assert owner.word in json.dumps([one["data"] for one in await installation.announcements(owner.smb)])


async def state_of(installation: Installation, smb: SmbKey) -> list[object]:
    """What is stored of an SMB, and how much is told of it."""
    (overview,) = await installation.fetch("SELECT * FROM smb_overview WHERE (tenant_id, id) = ($1, $2)", *smb)
    counts = [
        await installation.value(f"SELECT count(*) FROM {table} WHERE smb_id = $1", smb.smb_id)
        for table in sorted(PERSONAL - {"smbs"})
    ]
    return [dict(overview), counts]
