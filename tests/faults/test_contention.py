"""Deadlocks and serialization failures: everybody locks in one order, and what others cause is tried again."""

import asyncio
import random

import asyncpg

from services.engagement.handler import EngagementHandler
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.envelope import Input, decode
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from shared.schemas.topics import TOPICS
from tests.announced import TYPE, announcement_of
from tests.faults.scene import all_hold, load_on, metric
from tests.faults.traffic import traffic
from tests.installation import Installation, Message, event, eventually
from tests.schemas.records import GivenRecord

WAITS_FOR_A_HEAD = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE OF head%'
"""
# The first three inserts fail as a serializable server would have them fail; a sequence is not rolled back.
FAIL_THREE_TIMES = """
CREATE SEQUENCE failures;
GRANT USAGE ON SEQUENCE failures TO PUBLIC;
CREATE FUNCTION fail_three_times() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('failures') <= 3 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fail_three_times BEFORE INSERT ON engagement_events
FOR EACH STATEMENT EXECUTE FUNCTION fail_three_times();
"""
TEAR_DOWN = """
DROP TRIGGER fail_three_times ON engagement_events;
DROP FUNCTION fail_three_times;
DROP SEQUENCE failures;
"""


async def test_transactions_that_score_the_same_smbs_at_once_see_each_other(installation: Installation) -> None:
    """Three callbacks for each SMB, each in a transaction of its own: nobody scores from an old snapshot."""
    smbs = await installation.add_smbs(60)
    database = Database.create(installation.settings.database_url.get_secret_value(), pool_size=6)
    handler = EngagementHandler(Policy.default(), 5000)

    async def apply(number: int, order: list[SmbKey]) -> Outcome:
        inputs = [
            read(event("CallbackReceived", smb, call_id="c"), number * 100 + place) for place, smb in enumerate(order)
        ]
        return await transact(
            database, installation.topics, order, lambda transaction, now: handler.handle(transaction, inputs, now)
        )

    # Connected before, so that the transactions really overlap.
    await asyncio.gather(*(database.ping() for _ in range(6)))
    for first in range(0, len(smbs), 6):
        few = smbs[first : first + 6]
        await asyncio.gather(*(apply(number, few if number % 2 else few[::-1]) for number in range(3)))
    await database.close()
    rows = await installation.fetch(
        "SELECT engagement_score, announced_score FROM smb_heads WHERE smb_id = ANY($1)", [smb.smb_id for smb in smbs]
    )
    assert [tuple(row) for row in rows] == [(15, 15)] * len(smbs)
    # They came without Kafka, where the next test's checker would look for them.
    for table in ("engagement_events", "outbox", "outgoing_messages", "smbs", "smb_heads"):
        await installation.fetch(f"DELETE FROM {table}")


def read(message: Message, offset: int) -> Input:
    """Decode a message as if it stood at an offset."""
    record = GivenRecord(message.value, tuple(message.headers), message.topic, 0, offset)
    return decode(record, TOPICS[message.topic].types)


async def test_changes_of_the_same_smbs_in_opposite_orders_never_deadlock(installation: Installation) -> None:
    """Forty transactions over shuffled SMBs beside two workers: each takes its number, none fails."""
    smbs = await installation.add_smbs(8)
    chance = random.Random(1)
    database = Database.create(installation.settings.database_url.get_secret_value(), pool_size=12)
    orders = [chance.sample(smbs, 6) for _ in range(20)]
    orders += [order[::-1] for order in orders]

    async def change(order: list[SmbKey]) -> Outcome:
        async def announce(_transaction: Transaction, _now: object) -> Outcome:
            return Outcome(announcements=[announcement_of(smb) for smb in order])

        return await transact(database, installation.topics, order, announce)

    workers = [installation.start("engagement", SMB_BATCH_MAX_RECORDS="10") for _ in range(2)]
    async with load_on(installation) as load:
        await load.send(traffic(1, smbs, 300))
        outcomes = await asyncio.gather(*map(change, orders))
        await all_hold(installation, load)
    await database.close()
    assert len(outcomes) == len(orders)
    told = await installation.value("SELECT count(*) FROM outgoing_messages WHERE type = $1", TYPE)
    assert told == sum(len(order) for order in orders)
    assert await installation.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert [worker.terminate() for worker in workers] == [0, 0]


async def test_a_deadlock_that_somebody_else_causes_is_tried_again(installation: Installation) -> None:
    first, last = sorted(await installation.add_smbs(2))
    worker = installation.start("engagement")
    url = installation.settings.database_url.get_secret_value()
    outsider = await asyncpg.connect(url)
    lock = "SELECT FROM smb_heads WHERE (tenant_id, smb_id) = ($1, $2) FOR UPDATE"
    try:
        # Never the one who gives up.
        await outsider.execute("SET deadlock_timeout = '1h'")
        async with outsider.transaction():
            await outsider.execute(lock, *last)
            async with load_on(installation) as load:
                await load.send([
                    event("CallbackReceived", smb, call_id="c") for smb in (first, last, first)
                ])  # fmt: skip
                await eventually(lambda: installation.value(WAITS_FOR_A_HEAD), "the worker waits for the outsider")
                await outsider.execute(lock, *first)
        await all_hold(installation, load)
    finally:
        await outsider.close()
    assert metric(worker.ops("/metrics")[1], "smb_retries_total", cause="sqlstate_40") >= 1
    assert await installation.value("SELECT count(*) FROM dead_letters WHERE smb_id = $1", first.smb_id) == 0
    assert worker.terminate() == 0


async def test_a_serialization_failure_is_tried_again(installation: Installation) -> None:
    smbs = await installation.add_smbs(3)
    await installation.fetch("SELECT 1")
    connection = await asyncpg.connect(installation.settings.database_url.get_secret_value())
    await connection.execute(FAIL_THREE_TIMES)
    try:
        worker = installation.start("engagement")
        async with load_on(installation) as load:
            await load.send(traffic(9, smbs, 50))
            dump = await all_hold(installation, load)
        assert await connection.fetchval("SELECT last_value FROM failures") > 3
    finally:
        await connection.execute(TEAR_DOWN)
        await connection.close()
    assert dump.events
    assert metric(worker.ops("/metrics")[1], "smb_retries_total", cause="sqlstate_40") >= 3
    assert worker.terminate() == 0
