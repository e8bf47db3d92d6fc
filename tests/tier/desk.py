"""The tier handler acting on a database inside this process, and the inputs to give it."""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from services.tier.handler import TierHandler
from shared.runtime.batch import transact
from shared.runtime.database import Database
from shared.runtime.outcome import Outcome
from shared.schemas.announcements import GroupPoints, SMBEngagementChanged
from shared.schemas.envelope import Input
from shared.schemas.fields import SmbData, WireModel
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard
from shared.schemas.topics import Topics
from shared.schemas.triggers import EvaluateTierTransitions

OFFSETS = itertools.count()


@dataclass
class TierDesk:
    """SMBs to evaluate, and the handler to do it with."""

    database: Database
    url: str
    handler: TierHandler = field(default_factory=lambda: TierHandler(Policy.default(), 2))
    topics: Topics = field(default_factory=Topics)

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def add(self, score: int, tier: int = 4, *, tenant_id: uuid.UUID | None = None, **columns: object) -> SmbKey:
        """Put an SMB of this score and tier into the database; returns its key."""
        smb = SmbKey(tenant_id or uuid.uuid4(), uuid.uuid4())
        await self.fetch("INSERT INTO smb_heads (tenant_id, smb_id, engagement_score) VALUES ($1, $2, $3)", *smb, score)
        row = {"slug": f"smb-{smb.smb_id}", "business_name": "A business", "engagement_tier": tier} | columns
        names = ", ".join(row)
        places = ", ".join(f"${number}" for number in range(3, 3 + len(row)))
        await self.fetch(
            f"INSERT INTO smbs (tenant_id, id, {names}, created_at, updated_at)"
            f" VALUES ($1, $2, {places}, '2026-01-01Z', '2026-01-01Z')",
            *smb,
            *row.values(),
        )
        return smb

    async def set_score(self, smb: SmbKey, score: int) -> None:
        await self.fetch("UPDATE smb_heads SET engagement_score = $2 WHERE smb_id = $1", smb.smb_id, score)

    async def tier(self, smb: SmbKey) -> int:
        (row,) = await self.fetch("SELECT engagement_tier FROM smbs WHERE (tenant_id, id) = ($1, $2)", *smb)
        tier: int = row["engagement_tier"]
        return tier

    async def history(self, smb: SmbKey) -> list[tuple[int, int, int, str]]:
        """Old tier, new tier, score and reason of each change, oldest first."""
        rows = await self.fetch(
            "SELECT old_tier, new_tier, score, reason FROM tier_changes WHERE smb_id = $1 ORDER BY id", smb.smb_id
        )
        return [tuple(row) for row in rows]

    async def hint(self, *smbs: SmbKey) -> Outcome:
        """Apply one batch of announced scores (whose numbers the handler must not trust)."""
        return await self.apply([hint_of(smb) for smb in smbs])

    async def apply(self, inputs: Sequence[Input]) -> Outcome:
        """Apply one batch."""
        keys = [one.smb for one in inputs if one.smb is not None]
        return await transact(
            self.database, self.topics, keys, lambda transaction, now: self.handler.handle(transaction, inputs, now)
        )

    async def look(self) -> Outcome:
        """What the worker does every second."""
        return await transact(self.database, self.topics, (), self.handler.start_due_evaluations)

    async def apply_shard(self, shard: JobShard) -> Outcome:
        """Apply one shard, over the heads of its range."""
        rows = await self.fetch(
            "SELECT tenant_id, smb_id FROM smb_heads WHERE (tenant_id, smb_id) BETWEEN ($1, $2) AND ($3, $4)",
            *shard.first.key,
            *shard.last.key,
        )
        message = input_of(shard, None)
        return await transact(
            self.database,
            self.topics,
            [SmbKey(row["tenant_id"], row["smb_id"]) for row in rows],
            lambda transaction, now: self.handler.handle_shard(transaction, [message], now),
        )

    async def evaluate_all(self) -> list[Outcome]:
        """A whole nightly evaluation."""
        return [await self.apply_shard(shard) for shard in (await self.apply([trigger_of()])).shards]

    async def begin_recalculation(self, scheduled_for: datetime, progressed_at: datetime | None = None) -> uuid.UUID:
        """Put a recalculation that is under way into the database; returns its run."""
        run_id = uuid.uuid4()
        await self.fetch(
            "INSERT INTO job_runs (run_id, name, trigger_source, trigger_id, partition_number, partition_offset,"
            " scheduled_for, status, received_at, progressed_at, shards_total)"
            " VALUES ($1, 'RecalculateEngagementScores', '/test', $2, 0, 0, $3, 'running', $4, $4, 1)",
            run_id,
            str(run_id),
            scheduled_for,
            progressed_at or datetime.now(UTC),
        )
        return run_id

    async def finish_recalculation(self, run_id: uuid.UUID) -> None:
        await self.fetch(
            "UPDATE job_runs SET status = 'finished', finished_at = now(), shards_done = shards_total"
            " WHERE run_id = $1",
            run_id,
        )

    async def status_of(self, trigger: Input) -> str:
        (row,) = await self.fetch("SELECT status FROM job_runs WHERE run_id = $1", trigger.event_key)
        status: str = row["status"]
        return status


def input_of(data: WireModel, smb: SmbKey | None, id_: str | None = None) -> Input:
    id_ = id_ or uuid.uuid4().hex
    now = datetime.now(UTC)
    place = Place("any", 0, next(OFFSETS))
    return Input(
        type(data).__name__, "/test", id_, now, smb, data, None, place, event_key("/test", id_), int(now.timestamp())
    )


def hint_of(smb: SmbKey, data: SmbData | None = None) -> Input:
    announced = SMBEngagementChanged(
        smb_id=smb.smb_id,
        old_score=0,
        new_score=11,
        delta=11,
        groups=GroupPoints(reach=11, response=0, content=0, approval=0),
        policy_version="0123456789ab",
        as_of=datetime.now(UTC).date(),
    )
    return input_of(data or announced, smb)


def trigger_of(scheduled_for: datetime | None = None, id_: str | None = None) -> Input:
    moment = scheduled_for or datetime.now(UTC) - timedelta(minutes=1)
    return input_of(EvaluateTierTransitions(scheduled_for=moment), None, id_)
