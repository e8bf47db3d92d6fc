"""Every kind of message that can't be applied, and the odd ones that can; each with the service that must park it."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.schemas.identity import SmbKey
from shared.schemas.topics import JOB_OWNERS, UNKNOWN_TRIGGER_OWNER, Service
from tests.faults.traffic import in_binary_mode
from tests.installation import Message, event, trigger

MEBIBYTE = 1_048_576
LEVELS = 100_000
KINDS: dict[str, dict[str, Any]] = {
    "EmailOpened": {"message_id": "m-1"},
    "EmailClicked": {"message_id": "m-1", "url": "https://example.test"},
    "ContentViewed": {"content_id": "c-1", "seconds_viewed": 3.5},
    "ApprovalSubmitted": {"approval_id": "a-1", "service": "Website"},
    "CallbackReceived": {"call_id": "c-1"},
}


@dataclass(frozen=True)
class Case:
    """A message and who parks it; None: it is an event like any other and applied once."""

    name: str
    message: Message
    owner: Service | None


def good(type_: str = "EmailOpened", **data: object) -> Message:
    """An event for an SMB of its own."""
    return event(type_, SmbKey(uuid.uuid4(), uuid.uuid4()), **(KINDS[type_] | data))


def other_bytes(message: Message, old: str, new: str) -> Message:
    """The same message with one part of its text exchanged."""
    text = (message.value or b"").decode()
    assert old in text, (old, text)
    return replace(message, value=text.replace(old, new, 1).encode())


def attributes(message: Message, **changed: object) -> Message:
    """The same event with other attributes; None leaves one out."""
    document = json.loads(message.value or b"") | changed
    return replace(
        message, value=json.dumps({name: value for name, value in document.items() if value is not None}).encode()
    )


def headers(message: Message, *more: tuple[str, bytes | None], without: str = "") -> Message:
    """The same message with more headers, or without one."""
    return replace(message, headers=(*(one for one in message.headers if one[0] != without), *more))


def never_applied() -> Iterator[Case]:
    """What engagement parks from the event topics."""
    for name, message in {
        **dict(broken_bodies()),
        **dict(broken_fields()),
        **dict(broken_attributes()),
        **dict(broken_binary()),
    }.items():
        yield Case(name, message, "engagement")


def broken_bodies() -> Iterator[tuple[str, Message]]:
    """Bytes that are no event."""
    yield "tombstone", replace(good(), value=None)
    yield "tombstone without key or headers", Message("email.opened", None, None, ())
    yield "empty body", replace(good(), value=b"")
    yield "cut off", replace(good(), value=(good().value or b"")[:-1])
    yield "not UTF-8", replace(good(), value=b'{"id": "\xff"}')
    yield "BOM", replace(good(), value=b"\xef\xbb\xbf" + (good().value or b""))
    yield "only NUL", replace(good(), value=b"\0" * 10)
    yield "a list", replace(good(), value=b"[]")
    yield "null", replace(good(), value=b"null")
    yield "two documents", replace(good(), value=(good().value or b"") * 2)
    yield "deep", other_bytes(good(), '"m-1"', f'"m-1", "deep": {"[" * LEVELS}{"]" * LEVELS}')
    yield "nothing but depth", replace(good(), value=b"[" * LEVELS)
    yield "over 1 MiB", other_bytes(good(), '"m-1"', f'"m-1", "long": "{"x" * MEBIBYTE}"')


def broken_fields() -> Iterator[tuple[str, Message]]:
    """Data that breaks a rule of its type."""
    for name, value in {
        "NUL": r'"a\u0000b"',
        "lone surrogate": r'"\ud800"',
        "number for text": "12",
        "null": "null",
        "empty text": '""',
        "long text": f'"{"x" * 201}"',
        "list": "[]",
    }.items():
        yield f"message_id: {name}", other_bytes(good(), '"m-1"', value)
    for value in ("NaN", "Infinity", "1e400", "-1", "1000000001", '"12"', "true"):
        yield f"seconds_viewed: {value}", other_bytes(good("ContentViewed"), "3.5", value)
    yield "no message_id", other_bytes(good(), '"message_id"', '"another"')
    yield "long url", good("EmailClicked", url="https://example.test/" + "x" * 2000)
    yield "unknown decision", good("ApprovalSubmitted", decision="maybe")
    yield "approval that does not decode", other_bytes(good("ApprovalSubmitted"), '"Website"', "5")
    yield "smb_id: no uuid", good(smb_id="an-smb")
    yield "no data", attributes(good(), data=None)


def broken_attributes() -> Iterator[tuple[str, Message]]:
    """Documents whose envelope is wrong."""
    for name in ("id", "source", "type", "time", "tenantid", "specversion"):
        yield f"no {name}", attributes(good(), **{name: None})
        yield f"{name}: a number", attributes(good(), **{name: 5})
    ahead = datetime.now(UTC) + timedelta(hours=1)
    for name, changed in {
        "NUL in the id": {"id": "a\0"},
        "NUL in the source": {"source": "\0"},
        "long id": {"id": "x" * 201},
        "another version": {"specversion": "2.0"},
        "unknown type": {"type": "EmailBounced"},
        "another topic's type": {"type": "EmailClicked"},
        "type with NUL": {"type": "Email\0Opened"},
        "ahead": {"time": ahead.isoformat()},
        "no offset": {"time": "2026-03-01T09:30:00"},
        "no such time": {"time": "2026-13-01T09:30:00Z"},
        "before the calendar": {"time": "0001-01-01T00:00:00+23:59"},
        "no such tenant": {"tenantid": "tenant"},
        "another subject": {"subject": str(uuid.uuid4())},
    }.items():
        yield name, attributes(good(), **changed)


def broken_binary() -> Iterator[tuple[str, Message]]:
    """Binary mode: the envelope stands in headers."""
    for name in ("id", "type", "time", "source", "tenantid"):
        plain = in_binary_mode(good())
        yield f"ce_{name}: not UTF-8", headers(plain, (f"ce_{name}", b"\xff\xfe"), without=f"ce_{name}")
        yield f"ce_{name}: no value", headers(plain, (f"ce_{name}", None), without=f"ce_{name}")
        yield f"ce_{name}: twice", headers(plain, (f"ce_{name}", b"another"))
        yield f"ce_{name}: missing", headers(plain, without=f"ce_{name}")
    yield "binary: body cut off", replace(in_binary_mode(good()), value=b"{")
    yield "binary: tombstone", replace(in_binary_mode(good()), value=None)
    yield "NUL in a header's name", headers(replace(good(), value=b"{"), ("n\0", b"\0"), ("", None), ("n\0", b"again"))
    yield "binary: NUL", headers(in_binary_mode(good()), ("ce_id", b"\0"), without="ce_id")


def of_other_owners() -> Iterator[Case]:
    """Commands, triggers, shards and announcements."""
    commands = "smb.campaign-commands"
    command = replace(good(), topic=commands)
    yield Case("command: tombstone", replace(command, value=None), "campaign")
    yield Case("command: not JSON", replace(command, value=b"{"), "campaign")
    yield Case("command: an event", command, "campaign")
    yield Case("command: no start date", attributes(command, type="ScheduleCampaign"), "campaign")
    yield Case(
        "command: NUL in the reason",
        other_bytes(attributes(command, type="PauseCampaign"), '"m-1"', r'"m-1", "reason": "\u0000"'),
        "campaign",
    )
    yield Case("command: unknown SMB", attributes(command, type="StartCampaign"), "campaign")
    night = trigger("RecalculateEngagementScores")
    yield Case("schedule: tombstone", replace(night, value=None), UNKNOWN_TRIGGER_OWNER)
    yield Case("schedule: not JSON", replace(night, value=b"{"), UNKNOWN_TRIGGER_OWNER)
    yield Case("schedule: unknown", trigger("MakeCoffee"), UNKNOWN_TRIGGER_OWNER)
    yield Case("schedule: an event", replace(good(), topic="smb.schedule"), UNKNOWN_TRIGGER_OWNER)
    yield Case("recalculation: no label", other_bytes(night, "scheduled_for", "scheduled"), "engagement")
    ahead = datetime.now(UTC) + timedelta(minutes=30)
    yield Case("recalculation ahead", trigger("RecalculateEngagementScores", scheduled_for=ahead), "engagement")
    yield Case("evaluation ahead", trigger("EvaluateTierTransitions", time=ahead), "tier")
    yield Case("advance ahead", trigger("AdvanceManifestDestinyDay", scheduled_for=ahead), "campaign")
    yield Case("advance: no label", other_bytes(trigger("AdvanceManifestDestinyDay"), "scheduled_for", "f"), "campaign")
    yield Case("cleanup ahead", trigger("CleanupDeletedSMBs", scheduled_for=ahead), "records")
    yield Case(
        "data quality: no label", other_bytes(trigger("RecalculateDataQuality"), "scheduled_for", "f"), "records"
    )
    yield Case("evaluation: NUL", attributes(trigger("EvaluateTierTransitions"), id="\0"), "tier")
    shards = "smb.job-shards"
    yield Case("shard: not JSON", Message(shards, b"\xff", b"k"), UNKNOWN_TRIGGER_OWNER)
    for job, owner in JOB_OWNERS.items():
        broken = attributes(replace(night, topic=shards), type=f"{job}Shard", data={"number": "one"})
        yield Case(f"shard of {job}", broken, owner)
    events = "smb.events"
    yield Case("announcement: tombstone", Message(events, None, b"k", ()), "tier")
    yield Case("announcement: not JSON", Message(events, b"{", b"k"), "tier")
    yield Case("announcement: an event", replace(good(), topic=events), "tier")
    yield Case("announcement: no score", attributes(replace(good(), topic=events), type="SMBEngagementChanged"), "tier")


def odd_and_applied() -> Iterator[Case]:
    """Events that look strange and are right: applied once."""
    messages = {
        "keys that come twice": other_bytes(good(), '"m-1"', '"first", "message_id": "m-1"'),
        "NUL in an ignored field": other_bytes(good(), '"m-1"', r'"m-1", "extra": "\u0000"'),
        "odd numbers in ignored fields": other_bytes(
            good(), '"m-1"', f'"m-1", "a": NaN, "b": 1e400, "c": 1{"0" * 400}'
        ),
        "exactly 1 MiB": of_length(MEBIBYTE),
        "no key": replace(good(), key=None),
        "key that is not UTF-8": replace(good(), key=b"\xff\0"),
        "headers without value or not UTF-8": headers(
            good(), ("any", None), ("other", b"\xff"), ("", b""), ("n\0", b"")
        ),
        "broken traceparent": headers(good(), ("traceparent", b"\xff"), ("traceparent", None)),
        "no header at all": replace(good(), headers=()),
        "binary headers beside a document": headers(good(), ("ce_id", b"\xff"), ("ce_type", None)),
        "broken extension": headers(in_binary_mode(good()), ("ce_extension", None), ("ce_other", b"\xff")),
        "null subject": attributes(good(), extension={"subject": None}),
        "an hour of 26 fractions": attributes(good(), time="2026-03-01T09:30:00." + "1" * 26 + "+01:00"),
    }
    for name, message in messages.items():
        yield Case(name, message, None)


def of_length(length: int) -> Message:
    """An event whose body has so many bytes."""
    message = good(extra="")
    return other_bytes(message, '"extra": ""', f'"extra": "{"x" * (length - len(message.value or b""))}"')
