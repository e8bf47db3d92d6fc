"""Events as other modules would publish them, made again from the same seed wherever they are needed.

SMBs have numbers; their ids are hashes of these, here as in the SQL of `data`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import md5
from random import Random
from typing import NamedTuple
from uuid import UUID

from services.engagement.events import as_row
from services.engagement.store import EventRow
from shared.schemas.envelope import decode
from shared.schemas.topics import ENGAGEMENT_TOPICS

TENANTS = 20
PARTITIONS = 24
HEADERS = (("content-type", b"application/cloudevents+json"),)
# Live events are seldom older than this when they arrive.
ARRIVES_WITHIN = timedelta(hours=1)
# An ordinary mix; the history in SQL has the same.
KIND_WEIGHTS = {
    "EmailOpened": 35,
    "RVMDelivered": 10,
    "EmailClicked": 15,
    "CallbackReceived": 5,
    "ContentViewed": 20,
    "ContentCompleted": 10,
    "ApprovalSubmitted": 5,
}
DATA = {
    "EmailOpened": '"message_id":"m-{0}","campaign_id":"spring"',
    "RVMDelivered": '"drop_id":"d-{0}","duration_seconds":21.5',
    "EmailClicked": '"message_id":"m-{0}","url":"https://example.org/offers/{0}"',
    "CallbackReceived": '"call_id":"c-{0}","phone":"+12125550100","duration_seconds":120',
    "ContentViewed": '"content_id":"article-{0}","seconds_viewed":42',
    "ContentCompleted": '"content_id":"article-{0}","seconds_viewed":180',
    "ApprovalSubmitted": '"approval_id":"a-{0}","service":"newsletter"',
}
DOCUMENT = (
    '{{"specversion":"1.0","id":"{id}","source":"/modules/benchmark","type":"{type}","time":"{time}",'
    '"subject":"{smb}","tenantid":"{tenant}","datacontenttype":"application/json",'
    '"data":{{"smb_id":"{smb}",{data}}}}}'
)


class Published(NamedTuple):
    """One record, with the attributes that the decoder reads; `topic` has no prefix."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Mix(NamedTuple):
    """Whom a number of events is about: SMBs 1 to `smbs`, and one hot SMB that gets a share of all."""

    seed: int
    events: int
    smbs: int
    hot_smb: int = 0
    hot_share: float = 0.0


@lru_cache(maxsize=300_000)
def smb_id(number: int) -> str:
    """The id of the SMB with this number."""
    return str(UUID(md5(f"smb{number}".encode(), usedforsecurity=False).hexdigest()))


@lru_cache(maxsize=TENANTS)
def tenant_id(number: int) -> str:
    """The id of a tenant."""
    return str(UUID(md5(f"tenant{number}".encode(), usedforsecurity=False).hexdigest()))


def records(mix: Mix) -> Iterator[Published]:
    """The records of a mix, always the same ones for the same seed (their times aside)."""
    random = Random(mix.seed)
    now = datetime.now(UTC)
    kinds, weights = list(KIND_WEIGHTS), list(KIND_WEIGHTS.values())
    for number, kind in enumerate(random.choices(kinds, weights, k=mix.events)):
        is_hot = mix.hot_share > 0 and random.random() < mix.hot_share
        smb = mix.hot_smb if is_hot else random.randint(1, mix.smbs)
        time = now - ARRIVES_WITHIN * random.random()
        yield record(kind, smb, f"{mix.seed}-{number}", number, time)


def record(kind: str, smb: int, id_: str, number: int, time: datetime) -> Published:
    """One record in structured mode, in the partition that its SMB always has."""
    smb_text = smb_id(smb)
    document = DOCUMENT.format(
        id=id_,
        type=kind,
        time=time.isoformat(),
        smb=smb_text,
        tenant=tenant_id(smb % TENANTS),
        data=DATA[kind].format(number),
    )
    return Published(
        ENGAGEMENT_TOPICS[kind],
        smb % PARTITIONS,
        number,
        int(time.timestamp() * 1000),
        smb_text.encode(),
        document.encode(),
        HEADERS,
    )


def rows(published: Iterable[Published]) -> Iterator[EventRow]:
    """The same records decoded, as they are stored."""
    types = frozenset(ENGAGEMENT_TOPICS)
    for one in published:
        decoded = decode(one, types)
        if decoded.smb is not None:
            yield as_row(decoded, decoded.smb)


def in_store_order(row: EventRow) -> tuple[int, int, int]:
    """Sorts rows as PostgreSQL sorts their key."""
    return row.tenant_id.int, row.smb_id.int, row.event_key.int
