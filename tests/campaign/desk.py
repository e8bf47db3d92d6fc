"""The campaign handler acting on a database inside this process, at any moment, and the inputs to give it."""

import itertools
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import asyncpg

from services.campaign.decisions import AS_STORED, Becoming, refresh_for
from services.campaign.handler import CampaignHandler
from services.campaign.verification import differences
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.differences import Difference
from shared.runtime.outcome import Outcome
from shared.schemas.announcements import SMBCampaignChanged, SMBUpdated
from shared.schemas.catalog import CAMPAIGN_COMMANDS
from shared.schemas.engagement import ApprovalSubmitted
from shared.schemas.envelope import Input
from shared.schemas.fields import WireModel
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard
from shared.schemas.topics import Topics
from shared.schemas.triggers import AdvanceManifestDestinyDay

OFFSETS = itertools.count()
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class CampaignDesk:
    """SMBs with campaigns, and the handler to move them with."""

    database: Database
    url: str
    handler: CampaignHandler = field(default_factory=lambda: CampaignHandler(Policy.default(), 2))
    topics: Topics = field(default_factory=Topics)

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def add(self, *, key: SmbKey | None = None, timezone: str | None = None, **columns: object) -> SmbKey:
        """Put an SMB into the database, in a community of that zone; returns its key."""
        smb = key or SmbKey(uuid.uuid4(), uuid.uuid4())
        await self.fetch("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", *smb)
        row = {"slug": f"smb-{smb.smb_id}", "business_name": "A business"} | columns
        if timezone is not None:
            row["community_id"] = await self.add_community(smb.tenant_id, timezone)
        names = ", ".join(row)
        places = ", ".join(f"${number}" for number in range(3, 3 + len(row)))
        await self.fetch(
            f"INSERT INTO smbs (tenant_id, id, {names}, created_at, updated_at)"
            f" VALUES ($1, $2, {places}, '2026-01-01Z', '2026-01-01Z')",
            *smb,
            *row.values(),
        )
        return smb

    async def add_community(self, tenant_id: uuid.UUID, timezone: str) -> uuid.UUID:
        community_id = uuid.uuid4()
        await self.fetch(
            "INSERT INTO communities (tenant_id, id, name, slug, state, timezone, created_at, updated_at)"
            " VALUES ($1, $2, 'A community', $3, 'NY', $4, '2026-01-01Z', '2026-01-01Z')",
            tenant_id,
            community_id,
            f"community-{community_id}",
            timezone,
        )
        return community_id

    async def apply(self, *inputs: Input, now: datetime = NOW) -> Outcome:
        """Apply one batch as of `now`."""
        keys = [one.smb for one in inputs if one.smb is not None]
        return await self.act(keys, lambda transaction: self.handler.handle(transaction, inputs, now))

    async def apply_shard(self, shard: JobShard, now: datetime = NOW) -> Outcome:
        """Apply one shard as of `now`, over the heads of its range."""
        rows = await self.fetch(
            "SELECT tenant_id, smb_id FROM smb_heads WHERE (tenant_id, smb_id) BETWEEN ($1, $2) AND ($3, $4)",
            *shard.first.key,
            *shard.last.key,
        )
        keys = [SmbKey(row["tenant_id"], row["smb_id"]) for row in rows]
        message = input_of(shard, None)
        return await self.act(keys, lambda transaction: self.handler.handle_shard(transaction, [message], now))

    async def advance(self, now: datetime) -> Outcome:
        """A whole daily advance as of `now`: all its shards together."""
        whole = await self.apply(input_of(AdvanceManifestDestinyDay(scheduled_for=now), None, time=now), now=now)
        shards, whole.shards = whole.shards, []
        for shard in shards:
            whole.add(await self.apply_shard(shard, now))
        return whole

    async def refresh(self, smb: SmbKey, becoming: Becoming = AS_STORED, now: datetime = NOW) -> Outcome:
        """What others do in their own transaction."""
        return await self.act(
            [smb], lambda transaction: refresh_for(transaction, {smb: becoming}, self.handler.send_time, now)
        )

    async def act(self, keys: Sequence[SmbKey], act: Callable[[Transaction], Awaitable[Outcome]]) -> Outcome:
        return await transact(self.database, self.topics, keys, lambda transaction, _now: act(transaction))

    async def smb(self, smb: SmbKey) -> asyncpg.Record:
        (row,) = await self.fetch("SELECT * FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
        return row

    async def standing(self, smb: SmbKey) -> tuple[str, int | None, datetime | None]:
        """Status, day and next send, as the SMB shows them."""
        row = await self.smb(smb)
        return row["campaign_status"], row["manifest_destiny_day"], row["next_scheduled_send"]

    async def runs(self, smb: SmbKey) -> list[asyncpg.Record]:
        """The runs of an SMB, oldest first."""
        return await self.fetch("SELECT * FROM campaigns WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY number", *smb)

    async def history(self, smb: SmbKey) -> list[tuple[str, str, str, str, str | None]]:
        """Action, outcome, old status, new status and reason, oldest first."""
        rows = await self.fetch(
            "SELECT action, outcome, old_status, new_status, reason FROM campaign_transitions"
            " WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY id",
            *smb,
        )
        return [tuple(row) for row in rows]

    async def pending(self, smb: SmbKey) -> list[str]:
        """The approved services that nobody has activated."""
        pending: list[str] = json.loads((await self.smb(smb))["services_approved_pending"])
        return pending

    async def differences(self, *smbs: SmbKey) -> list[Difference]:
        """What `verify` says about these SMBs."""
        async with self.database.transaction() as transaction:
            return await differences(transaction, sorted(smbs), Policy.default())

    async def ledger(self, smb: SmbKey) -> list[tuple[str, str, str | None]]:
        """Type, outcome and service of each input, in the order of arrival."""
        rows = await self.fetch(
            "SELECT type, outcome, service FROM campaign_inputs WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY arrival",
            *smb,
        )
        return [tuple(row) for row in rows]


def input_of(data: WireModel, smb: SmbKey | None, id_: str | None = None, time: datetime = NOW) -> Input:
    id_ = id_ or uuid.uuid4().hex
    place = Place("any", 0, next(OFFSETS))
    key = event_key("/test", id_)
    return Input(type(data).__name__, "/test", id_, time, smb, data, None, place, key, int(time.timestamp() * 1000))


def command(  # noqa: PLR0913  each is a part of some command
    name: str,
    smb: SmbKey,
    *,
    reason: str | None = None,
    start_date: date | None = None,
    id_: str | None = None,
    time: datetime = NOW,
) -> Input:
    """A command by its verb: start, schedule, pause, resume, cancel."""
    model = CAMPAIGN_COMMANDS[f"{name.capitalize()}Campaign"]
    return input_of(model(smb_id=smb.smb_id, start_date=start_date, reason=reason), smb, id_, time)


def approval(smb: SmbKey, service: str, decision: str = "approved", id_: str | None = None) -> Input:
    data = {"smb_id": smb.smb_id, "approval_id": uuid.uuid4().hex, "service": service, "decision": decision}
    return input_of(ApprovalSubmitted.model_validate(data), smb, id_)


def moves(outcome: Outcome) -> list[tuple[str, str]]:
    """Old and new status of each announced transition."""
    return [
        (one.data.old_status, one.data.new_status)
        for one in outcome.announcements
        if isinstance(one.data, SMBCampaignChanged)
    ]


def pending_changes(outcome: Outcome) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Old and new pending services of each announced update."""
    return [
        (change.old, change.new)
        for one in outcome.announcements
        if isinstance(one.data, SMBUpdated) and (change := one.data.changes.services_approved_pending)
    ]
