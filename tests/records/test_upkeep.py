"""The weekly cleanup in single transactions: what it erases and forgets, bit by bit, and who comes in between."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from services.records import erasure
from services.records.upkeep import Upkeep
from shared.runtime.batch import transact
from shared.runtime.database import Database
from shared.runtime.outcome import Outcome
from shared.schemas.envelope import Input
from shared.schemas.fields import WireModel
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy
from shared.schemas.shards import JobShard
from shared.schemas.triggers import CleanupDeletedSMBs, RecalculateDataQuality
from tests.records.desk import RecordsDesk, approval, clicks, event_of
from tests.verify.examples import differences

ROUNDS = 12
LONG_AGO = timedelta(days=91)


@dataclass
class Cleanup:
    """A whole run of a weekly job in this process, its shards one after another."""

    desk: RecordsDesk
    rows_at_once: int = erasure.ROWS_AT_ONCE
    transactions: int = 0

    async def run(self, make: Callable[..., WireModel] = CleanupDeletedSMBs) -> Outcome:
        """Begin a run and do all its shards."""
        return await self.finish(await self.begin(make), await heads_of(self.desk))

    async def begin(self, make: Callable[..., WireModel] = CleanupDeletedSMBs) -> list[JobShard]:
        """Begin a run; gives its shards."""
        return (await self._act((), self.upkeep.handle, input_of(make(scheduled_for=datetime.now(UTC))))).shards

    async def finish(self, shards: Sequence[JobShard], keys: Sequence[SmbKey]) -> Outcome:
        """Do these shards and what they leave to another transaction; `keys` are the heads that they find."""
        whole, waiting = Outcome(), list(shards)
        while waiting:
            done = await self._act(keys, self.upkeep.handle_shard, input_of(waiting.pop()))
            waiting += done.shards
            whole.add(done)
            self.transactions += 1
        return whole

    @property
    def upkeep(self) -> Upkeep:
        return Upkeep(Policy.default(), self.desk.engagement, 5000, self.rows_at_once)

    async def _act(self, keys: Sequence[SmbKey], handle: Callable[..., object], message: Input) -> Outcome:
        return await transact(
            self.desk.database,
            self.desk.topics,
            keys,
            lambda transaction, now: handle(transaction, [message], now),  # type: ignore[arg-type,return-value]
        )


@pytest.fixture(autouse=True)
async def nobody(desk: RecordsDesk) -> None:
    """Each test cleans up only what it made itself."""
    tables = "campaigns, smbs, smb_heads, engagement_events, campaign_inputs, open_erasures, outgoing_messages, outbox"
    await desk.fetch(f"TRUNCATE {tables}, job_runs, dead_letters CASCADE")


@pytest.fixture
def cleanup(desk: RecordsDesk) -> Cleanup:
    return Cleanup(desk)


def input_of(data: WireModel) -> Input:
    """A decoded trigger or shard."""
    now, id_ = datetime.now(UTC), uuid.uuid4().hex
    name = type(data).__name__
    place = Place("smb.job-shards" if isinstance(data, JobShard) else "smb.schedule", 0, 0)
    key = event_key("/test", id_)
    return Input(name, "/test", id_, now, None, data, None, place, key, int(now.timestamp() * 1000))


async def heads_of(desk: RecordsDesk) -> list[SmbKey]:
    rows = await desk.fetch("SELECT tenant_id, smb_id FROM smb_heads ORDER BY 1, 2")
    return [SmbKey(uuid.UUID(int=row[0].int), uuid.UUID(int=row[1].int)) for row in rows]


async def age(desk: RecordsDesk, smb: SmbKey, by: timedelta = LONG_AGO) -> None:
    """Let time pass over everything that came for an SMB."""
    for table in ("engagement_events", "campaign_inputs"):
        await desk.fetch(
            f"UPDATE {table} SET received_at = received_at - $2::interval WHERE smb_id = $1", smb.smb_id, by
        )
    await desk.fetch("UPDATE smbs SET deleted_at = deleted_at - $2::interval WHERE id = $1", smb.smb_id, by)


async def count(desk: RecordsDesk, table: str, smb: SmbKey) -> int:
    (row,) = await desk.fetch(f"SELECT count(*) FROM {table} WHERE (tenant_id, smb_id) = ($1, $2)", *smb)
    return int(row["count"])


async def test_what_nobody_claims_goes_90_days_after_its_arrival_and_nothing_else(
    desk: RecordsDesk, cleanup: Cleanup, database: Database
) -> None:
    old, mixed, young = (SmbKey(desk.tenant_id, uuid.uuid4()) for _ in range(3))
    known = desk.smb()
    await desk.create(known)
    happened = datetime.now(UTC) - timedelta(days=100)
    everything = [old, mixed, young, known.key]
    for smb in everything:
        came = [
            *clicks(smb, 3, happened),
            approval(smb, "Website", happened),
            event_of("EmailOpened", smb, message_id="m"),
        ]
        await desk.apply(came)
        await desk.approve([came[3], approval(smb, "Chat", decision="rejected")])
        if smb is not young:
            await age(desk, smb)
    # Two events of the last 90 days, one of them of long before.
    await desk.apply([*clicks(mixed, 1, happened), event_of("ContentViewed", mixed, content_id="c")])
    await desk.approve([approval(mixed, "Listing")])

    done = await cleanup.run()
    assert done.announcements == []
    events = {smb: await count(desk, "engagement_events", smb) for smb in everything}
    assert events == {old: 0, mixed: 2, young: 5, known.key: 5}
    inputs = {smb: await count(desk, "campaign_inputs", smb) for smb in everything}
    assert inputs == {old: 0, mixed: 1, young: 2, known.key: 2}
    assert set(await heads_of(desk)) == {mixed, young, known.key}
    # Its score and its last moments are those of what is left.
    assert await differences(database) == []
    (head,) = await desk.fetch("SELECT * FROM smb_heads WHERE smb_id = $1", mixed.smb_id)
    assert (head["engagement_score"], head["last_email_open"], head["last_approval"]) == (2, None, None)
    assert head["last_email_click"] == happened

    await desk.create(desk.smb(id=mixed.smb_id))
    row = await desk.row(mixed)
    assert (row["engagement_score"], row["services_approved_pending"]) == (2, '["Listing"]')


async def test_a_head_that_has_told_something_stays(desk: RecordsDesk, cleanup: Cleanup) -> None:
    erased, told = SmbKey(desk.tenant_id, uuid.uuid4()), SmbKey(desk.tenant_id, uuid.uuid4())
    empty = SmbKey(desk.tenant_id, uuid.uuid4())
    await desk.erase(erased)
    await desk.fetch(
        "INSERT INTO smb_heads (tenant_id, smb_id, sequence) VALUES ($1, $2, 1), ($1, $3, 0)", *told, empty.smb_id
    )
    await cleanup.run()
    assert set(await heads_of(desk)) == {erased, told}


async def test_too_much_for_one_transaction_goes_bit_by_bit(desk: RecordsDesk, cleanup: Cleanup) -> None:
    unknown, deleted = SmbKey(desk.tenant_id, uuid.uuid4()), desk.smb()
    await desk.create(deleted)
    await desk.delete(deleted.key)
    for smb in (unknown, deleted.key):
        await desk.apply(clicks(smb, 25))
        await desk.approve([approval(smb, f"Service {number}") for number in range(12)])
        await age(desk, smb)
    cleanup.rows_at_once = 10
    await cleanup.run()
    assert cleanup.transactions == 3
    (run,) = await desk.fetch("SELECT status, shards_done, smbs_changed FROM job_runs")
    assert tuple(run) == ("finished", 1, 1)
    assert await heads_of(desk) == [deleted.key]
    assert await count(desk, "engagement_events", unknown) == await count(desk, "campaign_inputs", unknown) == 0


async def test_events_that_race_with_the_removal_of_their_head_are_all_counted(
    desk: RecordsDesk, cleanup: Cleanup, database: Database
) -> None:
    orders: Counter[int] = Counter()
    for number in range(ROUNDS):
        smb = SmbKey(desk.tenant_id, uuid.uuid4())
        await desk.apply(clicks(smb, 2))
        await age(desk, smb)
        shards = await cleanup.begin()
        acts = [desk.apply(clicks(smb, 4)), desk.approve([approval(smb, "Website")])]
        acts.insert(number % 3, cleanup.finish(shards, [smb]))
        await asyncio.gather(*acts)
        (run,) = await desk.fetch("SELECT smbs_changed FROM job_runs ORDER BY received_at DESC LIMIT 1")
        orders[run["smbs_changed"]] += 1

        await desk.create(desk.smb(id=smb.smb_id, business_name=f"Shop {number}"))
        row = await desk.row(smb)
        assert (row["engagement_score"], row["services_approved_pending"]) == (12, '["Website"]')
    assert await differences(database) == []
    # The head went while others waited for it, and it stayed: otherwise this has tested nothing.
    assert set(orders) == {0, 1}


async def test_data_quality_is_stored_as_the_rule_says_and_the_profile_stays_as_it_is(
    desk: RecordsDesk, cleanup: Cleanup
) -> None:
    right, wrong, deleted = desk.smb(primary_email="a@b.example"), desk.smb(), desk.smb(primary_phone="+1 212 555 0100")
    await desk.create(right, wrong, deleted)
    await desk.delete(deleted.key)
    before = await profiles(desk)
    await desk.fetch("UPDATE smbs SET data_quality_score = 99 WHERE id = ANY($1)", [wrong.id, deleted.id])
    told = len(await desk.fetch("SELECT FROM outgoing_messages"))
    await cleanup.run(RecalculateDataQuality)
    assert await profiles(desk) == before
    (run,) = await desk.fetch("SELECT status, smbs_seen, smbs_changed FROM job_runs")
    assert tuple(run) == ("finished", 3, 2)
    shards = 1
    assert len(await desk.fetch("SELECT FROM outgoing_messages")) == told + shards


async def profiles(desk: RecordsDesk) -> list[dict[str, object]]:
    return [dict(row) for row in await desk.fetch("SELECT * FROM smbs ORDER BY id")]
