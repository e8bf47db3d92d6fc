"""SMBs with events and tiers of all sorts, and what the nightly jobs really make of them by a policy."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from services.engagement import store
from services.engagement.handler import EngagementHandler
from services.engagement.rules import KINDS
from services.engagement.store import EventRow
from services.tier.handler import TierHandler
from shared.runtime.batch import transact
from shared.runtime.database import Database
from shared.schemas.fields import WireModel
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.topics import Topics
from shared.schemas.triggers import EvaluateTierTransitions, RecalculateEngagementScores
from tests.tier.desk import input_of

NOW = datetime.now(UTC)
A_DAY = timedelta(days=1)
TENANTS = [UUID(int=number) for number in (3, 2**64, 2**127)]
SMBS = 300
SHARD_SMBS = 47
FORMULA = '=HYPERLINK("http://x.test")'
TABLES = (
    "smb_heads",
    "smbs",
    "engagement_events",
    "tier_changes",
    "outgoing_messages",
    "job_runs",
    "job_shards",
    "verifications",
)

ADD_HEADS = "INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, $3)"
ADD_SMBS = """
    INSERT INTO smbs (tenant_id, id, slug, business_name, engagement_tier, tier_changed_at, deleted_at, created_at,
        updated_at)
    VALUES ($1, $2, 'smb-' || $2::uuid, $3, $4, $5, $6, now(), now())
"""


@dataclass
class Population:
    """A database with 300 SMBs, and more heads of SMBs that are unknown or erased."""

    database: Database
    url: str

    async def fill(self) -> None:
        """Put everything there."""
        chance = random.Random(7)
        keys = [SmbKey(chance.choice(TENANTS), UUID(int=chance.getrandbits(128))) for _ in range(SMBS)]
        others = [SmbKey(chance.choice(TENANTS), uuid4()) for _ in range(20)]
        connection = await asyncpg.connect(self.url)
        await connection.executemany(ADD_HEADS, [(*key, None) for key in keys])
        # Half of the others are erased, half have events only.
        await connection.executemany(
            ADD_HEADS, [(*key, NOW if place % 2 else None) for place, key in enumerate(others)]
        )
        changes = [None, NOW - 2 * A_DAY, NOW - 10 * A_DAY]
        await connection.executemany(
            ADD_SMBS,
            [
                (
                    *key,
                    FORMULA if place % 10 == 0 else f"Business {place}",
                    chance.randint(1, 4),
                    chance.choice(changes),
                    NOW if place % 25 == 24 else None,
                )
                for place, key in enumerate(keys)
            ],
        )
        await connection.close()
        events = [row for key in (*keys, *others[::2]) for row in _events(chance, key)]
        async with self.database.transaction() as transaction:
            await store.insert_events(transaction, sorted(events), NOW)

    async def everything(self) -> dict[str, list[Any]]:
        """All rows of the tables that the comparison reads or the jobs write, with who wrote and who locked them."""
        connection = await asyncpg.connect(self.url)
        found = {
            table: await connection.fetch(f"SELECT tableoid, ctid, xmin, xmax, * FROM {table} ORDER BY tableoid, ctid")
            for table in TABLES
        }
        await connection.close()
        return found

    async def standings(self) -> dict[SmbKey, tuple[int, int]]:
        """Score and tier of each SMB that is not deleted, as they are stored."""
        connection = await asyncpg.connect(self.url)
        rows = await connection.fetch(
            "SELECT tenant_id, id, engagement_score, engagement_tier FROM smb_overview ORDER BY tenant_id, id"
        )
        await connection.close()
        return {SmbKey(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def roll_out(self, policy: Policy) -> None:
        """Recalculate and evaluate everything by a policy, as the workers do at night."""
        engagement, tier = EngagementHandler(policy, SHARD_SMBS), TierHandler(policy, SHARD_SMBS)
        await self._run(engagement, RecalculateEngagementScores(scheduled_for=NOW))
        await self._run(tier, EvaluateTierTransitions(scheduled_for=NOW))

    async def _run(self, handler: EngagementHandler | TierHandler, trigger: WireModel) -> None:
        topics, message = Topics(), input_of(trigger, None)
        begun = await transact(self.database, topics, (), lambda taken, _: handler.handle(taken, [message], NOW))
        assert len(begun.shards) > 1
        for shard in begun.shards:
            keys = await self._heads(shard.first.key, shard.last.key)
            act = partial(handler.handle_shard, inputs=[input_of(shard, None)], now=NOW)
            await transact(self.database, topics, keys, lambda taken, _, act=act: act(taken))  # type: ignore[misc]

    async def _heads(self, first: SmbKey, last: SmbKey) -> Sequence[SmbKey]:
        connection = await asyncpg.connect(self.url)
        statement = "SELECT tenant_id, smb_id FROM smb_heads WHERE (tenant_id, smb_id) BETWEEN ($1, $2) AND ($3, $4)"
        rows = await connection.fetch(statement, *first, *last)
        await connection.close()
        return [SmbKey(*row) for row in rows]


def _events(chance: random.Random, smb: SmbKey) -> list[EventRow]:
    """From nothing to more than all caps, within and behind every window."""
    return [
        EventRow(
            *smb, uuid4(), kind, NOW - chance.random() * 70 * A_DAY, "/test", "id", "reference", None,
            "Web" if kind.startswith("approval") else None, "https://x" if kind == "email_clicked" else None,
            None, None, 0, 0,
        )
        for kind in chance.choices(KINDS, k=chance.choice([0, 5, 20, 40, 60, 90]))
    ]  # fmt: skip
