"""Random commands and approvals from a seed: repeated, contradicting and broken ones among them."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.schemas.identity import SmbKey
from tests.faults.campaign_checker import ACTIONS, COMMANDS
from tests.faults.traffic import in_binary_mode
from tests.installation import Message, event

SOURCE = "/modules/campaign-traffic"
SERVICES = ("Website", "Listing", "Chat", "Mail", "Calls")
BROKEN = (b"", b"{", b"\xff\xfe", b'{"specversion": "1.0"}', b"[]")


def campaign_traffic(seed: int, smbs: Sequence[SmbKey], count: int, now: datetime | None = None) -> list[Message]:
    """Make `count` messages, three commands to one approval; the same seed, SMBs and moment make the same messages."""
    chance = random.Random(seed)
    now = now or datetime.now(UTC)
    made: list[Message] = []
    sent: list[Message] = []
    for number in range(count):
        fate = chance.random()
        if sent and fate < 0.1:
            message = chance.choice(sent)
        elif sent and fate < 0.15:
            message = contradicted(chance.choice(sent))
        elif fate > 0.97:
            message = Message(COMMANDS, chance.choice(BROKEN), str(chance.choice(smbs).smb_id).encode())
        else:
            message = one_input(chance, chance.choice(smbs), f"campaign-{seed}-{number}", now)
            sent.append(message)
        made.append(in_binary_mode(message) if message in sent and chance.random() < 0.3 else message)
    return made


def one_input(chance: random.Random, smb: SmbKey, id_: str, now: datetime) -> Message:
    """A command of any kind, or an approval; its start date is too far ahead to be reached."""
    if chance.random() < 0.25:
        decision = chance.choice(["approved", "approved", "rejected"])
        service = chance.choice(SERVICES)
        approval = {"approval_id": id_, "service": service, "decision": decision}
        return event("ApprovalSubmitted", smb, id_=id_, time=now, source=SOURCE, **approval)
    start_date = (now + timedelta(days=chance.randint(30, 60))).date().isoformat()
    return command(chance.choice([*ACTIONS.values()]), smb, id_=id_, time=now, start_date=start_date)


def command(action: str, smb: SmbKey, *, id_: str | None = None, time: datetime | None = None, **data: str) -> Message:
    """A command by its action."""
    type_ = next(name for name, its in ACTIONS.items() if its == action)
    return event(type_, smb, topic=COMMANDS, id_=id_, time=time, source=SOURCE, **data)


def contradicted(message: Message) -> Message:
    """The same identity, another body."""
    body = json.loads(message.value or b"")
    body["data"] |= {"reason": "another", "campaign_id": "another"}
    return replace(message, value=json.dumps(body).encode())
