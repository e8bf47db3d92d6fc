"""The records handler acting on a database inside this process, and the handlers for what came before an SMB."""

import itertools
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg

from services.campaign.handler import CampaignHandler
from services.engagement.handler import EngagementHandler
from services.records import erasure
from services.records.changes import CommunityChange, CommunityKey, SmbChange
from services.records.changing import ChangedSmbs
from services.records.communities import MembersChanged, heads_for_change, heads_for_deletion
from services.records.handler import RecordsHandler
from services.records.profiles import NewCommunity, NewSmb
from shared.runtime.batch import transact
from shared.runtime.database import Database, TenantDatabase, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.catalog import TYPES
from shared.schemas.envelope import Input, decode
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy
from shared.schemas.topics import Topics

OFFSETS = itertools.count()


class Told(NamedTuple):
    """A stored outgoing message, as the record that a reader of the topic gets."""

    headers: list[tuple[str, bytes]]
    value: bytes
    topic: str = "any"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


@dataclass
class RecordsDesk:
    """A tenant, and what can be done to its SMBs."""

    database: Database | TenantDatabase
    url: str
    tenant_id: uuid.UUID = field(default_factory=uuid.uuid4)
    topics: Topics = field(default_factory=Topics)
    engagement: EngagementHandler = field(default_factory=lambda: EngagementHandler(Policy.default(), 5000))
    campaign: CampaignHandler = field(default_factory=lambda: CampaignHandler(Policy.default(), 5000))

    rereadings: int = 0

    @property
    def records(self) -> RecordsHandler:
        return RecordsHandler(Policy.default(), self.engagement)

    def smb(self, **fields: Any) -> NewSmb:  # noqa: ANN401  any field of the request
        """A request with a name and whatever else is given."""
        given: dict[str, Any] = {"tenant_id": self.tenant_id, "business_name": "Café Alma"} | fields
        return NewSmb(**given)

    async def create(self, *requests: NewSmb) -> Outcome:
        """Create SMBs in one transaction."""
        keys = [request.key for request in requests]
        return await transact(
            self.database,
            self.topics,
            keys,
            lambda transaction, now: self.records.create_smbs(transaction, requests, now),
        )

    async def change(self, *changes: SmbChange, partly: bool = False) -> ChangedSmbs:
        """Change SMBs in one transaction."""
        done: list[ChangedSmbs] = []

        async def act(transaction: Transaction, now: datetime) -> Outcome:
            done.append(await self.records.change_smbs(transaction, changes, now, partly=partly))
            return done[-1].outcome

        await transact(self.database, self.topics, [change.key for change in changes], act)
        return done[-1]

    async def erase(self, *smbs: SmbKey, rows_at_once: int = erasure.ROWS_AT_ONCE) -> Outcome:
        """Erase SMBs in one transaction."""
        return await transact(
            self.database,
            self.topics,
            smbs,
            lambda transaction, now: erasure.erase(transaction, smbs, now, rows_at_once=rows_at_once),
        )

    async def delete(self, smb: SmbKey, expected_revision: int | None = None) -> Outcome:
        """Soft-delete an SMB."""
        return await transact(
            self.database,
            self.topics,
            [smb],
            lambda transaction, now: self.records.delete_smb(
                transaction, smb, now, expected_revision=expected_revision
            ),
        )

    async def restore(self, smb: SmbKey, expected_revision: int | None = None) -> Outcome:
        """Undo a soft deletion."""
        return await transact(
            self.database,
            self.topics,
            [smb],
            lambda transaction, now: self.records.restore_smb(
                transaction, smb, now, expected_revision=expected_revision
            ),
        )

    def changing(self, smb: SmbKey, **fields: Any) -> SmbChange:  # noqa: ANN401  any field of the request
        """A request to change an SMB."""
        return SmbChange(tenant_id=smb.tenant_id, id=smb.smb_id, **fields)

    async def change_community(self, community_id: uuid.UUID, **fields: Any) -> Outcome:  # noqa: ANN401  likewise
        """Change a community, holding its SMBs where that is needed."""
        change = CommunityChange(tenant_id=self.tenant_id, id=community_id, **fields)
        return await self._with_members(
            lambda transaction: heads_for_change(transaction, change),
            lambda transaction, now: self.records.change_community(transaction, change, now),
        )

    async def delete_community(self, community_id: uuid.UUID, expected_revision: int | None = None) -> Outcome:
        """Delete a community, holding its SMBs."""
        key = CommunityKey(self.tenant_id, community_id)
        return await self._with_members(
            lambda transaction: heads_for_deletion(transaction, key),
            lambda transaction, now: self.records.delete_community(
                transaction, key, now, expected_revision=expected_revision
            ),
        )

    async def _with_members(
        self,
        find: Callable[[Transaction], Awaitable[Sequence[SmbKey]]],
        act: Callable[[Transaction, datetime], Awaitable[Outcome]],
    ) -> Outcome:
        while True:
            async with self.database.transaction() as transaction:
                members = await find(transaction)
            try:
                return await transact(self.database, self.topics, members, act)
            except MembersChanged:
                self.rereadings += 1

    async def create_communities(self, *requests: NewCommunity) -> None:
        """Create communities in one transaction."""
        await transact(
            self.database,
            self.topics,
            (),
            lambda transaction, now: self.records.create_communities(transaction, requests, now),
        )

    async def apply(self, events: Sequence[Input]) -> Outcome:
        """Apply events as the engagement worker does with one batch."""
        keys = [event.smb for event in events if event.smb is not None]
        return await transact(
            self.database,
            self.topics,
            keys,
            lambda transaction, now: self.engagement.handle(transaction, events, now),
        )

    async def command(self, smb: SmbKey, type_: str, **data: Any) -> Outcome:  # noqa: ANN401  any field of the command
        """Command a campaign as over Kafka."""
        return await self.approve([event_of(type_, smb, **data)])

    async def add_community(self, name: str = "Springfield", **fields: Any) -> NewCommunity:  # noqa: ANN401  likewise
        """Create a community of that name."""
        community = NewCommunity(tenant_id=self.tenant_id, name=name, **{"state": "IL"} | fields)
        await self.create_communities(community)
        return community

    async def approve(self, approvals: Sequence[Input]) -> Outcome:
        """Apply approvals as the campaign worker does with one batch."""
        keys = [approval.smb for approval in approvals if approval.smb is not None]
        return await transact(
            self.database,
            self.topics,
            keys,
            lambda transaction, now: self.campaign.handle(transaction, approvals, now),
        )

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def row(self, smb: SmbKey) -> asyncpg.Record:
        """The SMB as the view shows it."""
        (row,) = await self.fetch("SELECT * FROM smb_overview WHERE (tenant_id, id) = ($1, $2)", *smb)
        return row

    async def story(self, smb: SmbKey) -> list[dict[str, Any]]:
        """What was told about an SMB, in sequence: the type, and the data without the id."""
        return [
            {"type": one.type} | one.data.model_dump(exclude={"smb_id"}, exclude_unset=True)
            for one in map(decoded, await self.told(smb))
        ]

    async def told(self, smb: SmbKey) -> list[Told]:
        """What was told about an SMB, in sequence."""
        rows = await self.fetch(
            "SELECT headers, value FROM outgoing_messages WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY sequence", *smb
        )
        return [
            Told([(name, value.encode()) for name, value in json.loads(row["headers"])], row["value"]) for row in rows
        ]


def event_of(type_: str, smb: SmbKey, time: datetime | None = None, **data: object) -> Input:
    """A decoded event."""
    id_, now = uuid.uuid4().hex, datetime.now(UTC)
    model = TYPES[type_].model_validate({"smb_id": smb.smb_id, **data})
    place = Place("any", 0, next(OFFSETS))
    key = event_key("/test", id_)
    return Input(type_, "/test", id_, time or now, smb, model, None, place, key, int(now.timestamp() * 1000))


def clicks(smb: SmbKey, count: int, time: datetime | None = None) -> list[Input]:
    """So many clicks, 3 points each."""
    return [
        event_of("EmailClicked", smb, time, message_id=f"m-{number}", url="https://example.test/")
        for number in range(count)
    ]


def decoded(told: Told) -> Input:
    """What a reader makes of a message."""
    return decode(told, frozenset(TYPES), datetime.now(UTC))


def approval(smb: SmbKey, service: str, time: datetime | None = None, **data: object) -> Input:
    """A decoded approval of a service."""
    return event_of("ApprovalSubmitted", smb, time, approval_id=uuid.uuid4().hex, service=service, **data)
