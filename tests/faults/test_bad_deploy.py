"""Our own code fails: on everything (the line stops), on one record (it is parked), or by being slow (halved)."""

import json

from aiokafka.admin import AIOKafkaAdminClient

from tests.commands import succeeds
from tests.faults.altered_worker import BROKEN, FAILS_ON_ONE, MARK, PROGRAM, SLOW
from tests.faults.scene import all_hold, letters, load_on, metric
from tests.faults.traffic import Mix, traffic
from tests.installation import Installation, WorkerProcess, event, eventually

NOTHING_BROKEN = Mix(repeated=0, contradicting=0, broken=0)


def problems(worker: WorkerProcess) -> dict[str, str]:
    """What `/readyz` complains about; nothing while it does not answer."""
    _, body = worker.ops("/readyz")
    found: dict[str, str] = json.loads(body)["problems"] if body else {}
    return found


async def acknowledged(installation: Installation) -> int:
    """How many records Kafka holds for finished by the engagement group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(installation.topics.group("engagement"))
    finally:
        await admin.close()
    return sum(max(0, one.offset) for one in offsets.values())


async def test_a_release_that_fails_on_everything_stops_and_empties_nothing(installation: Installation) -> None:
    smbs = await installation.add_smbs(10)
    async with load_on(installation) as load:
        await load.send(traffic(1, smbs, 130, NOTHING_BROKEN))
        broken = installation.start("engagement", PROGRAM, ALTERED=BROKEN)
        await eventually(lambda: "line" in problems(broken), "the line has stopped")
        assert broken.ops("/livez")[0] == 200
        assert broken.ops("/readyz")[0] == 503
        page = broken.ops("/metrics")[1]
        assert metric(page, "smb_line_stopped", service="engagement", why="own_code_fails") == 1
        parked = await letters(installation)
        assert len(parked) == 100
        before = await acknowledged(installation)
        assert before <= len(parked)
        assert await installation.value("SELECT count(*) FROM engagement_events") == 0

        # It takes nothing more, up to its end.
        await load.send(traffic(2, smbs, 20, NOTHING_BROKEN))
        assert broken.terminate() == 0
        assert await letters(installation) == parked
        rows = await installation.fetch("SELECT DISTINCT attempts, error_class, reason FROM dead_letters")
        assert [tuple(row) for row in rows] == [
            (3, "ZeroDivisionError", "ZeroDivisionError: a release that nobody tried")
        ]

        # Nothing of it was acknowledged: the repaired release applies all, and what was parked is parked no more.
        repaired = installation.start("engagement")
        await all_hold(installation, load)
    left = await letters(installation)
    assert await installation.value("SELECT count(*) FROM engagement_events") + len(left) == 150
    assert len(left) <= before
    assert repaired.terminate() == 0


async def test_letters_replayed_twice_are_applied_once(installation: Installation) -> None:
    """Three letters that a broken release left and a repaired one can apply, and one that nobody can."""
    smbs = await installation.add_smbs(3)
    last = await installation.value("SELECT coalesce(max(id), 0) FROM dead_letters")
    async with load_on(installation) as load:
        broken = installation.start("engagement", PROGRAM, ALTERED=FAILS_ON_ONE)
        places = await load.send([
            *(event("EmailOpened", smb, message_id=MARK) for smb in smbs),
            event("EmailOpened", smbs[0], message_id=""),
        ])  # fmt: skip
        await all_hold(installation, load)
        assert broken.terminate() == 0
        parked = [letter for letter in await letters(installation) if letter.place in places]
        assert len(parked) == 4

        repaired = installation.start("engagement")
        ids = [str(row["id"]) for row in await installation.fetch("SELECT id FROM dead_letters WHERE id > $1", last)]
        assert "4 published again" in (await succeeds(installation.environment, "dead-letters", "replay", *ids)).out
        assert "4 published again" in (await succeeds(installation.environment, "dead-letters", "replay", *ids)).out
        dump = await all_hold(installation, load)
    applied = [one for one in dump.events if one.smb in smbs]
    assert sorted(one.smb for one in applied) == sorted(smbs)
    assert len([one for one in dump.copies if one.topic == "email.opened"]) == 3
    assert [dump.heads[smb].score for smb in smbs] == [1, 1, 1]
    # What still can't be applied is a new letter each time, with the same bytes.
    (hopeless,) = [one for one in dump.letters if one.place == places[-1]]
    again = [one for one in dump.letters if one.value == hopeless.value]
    assert {one._replace(place=hopeless.place) for one in again} == {hopeless}
    assert len(again) == 3
    assert repaired.terminate() == 0


async def test_a_record_without_key_and_body_can_be_replayed_like_any_other(installation: Installation) -> None:
    repaired = installation.start("engagement")
    async with load_on(installation) as load:
        tombstone = event("EmailOpened", (await installation.add_smbs(1))[0], message_id="m")
        await load.send([type(tombstone)(tombstone.topic, None, None, (("any", None),), partition=1)])
        await installation.idle()
        row = await installation.value("SELECT max(id) FROM dead_letters")
        await succeeds(installation.environment, "dead-letters", "replay", row)
        await all_hold(installation, load)
    *_, original, again = await letters(installation)
    assert again.place.offset > original.place.offset
    assert again == original._replace(place=again.place)
    assert repaired.terminate() == 0


async def test_a_record_that_fails_alone_three_times_is_parked_and_its_neighbours_are_applied(
    installation: Installation,
) -> None:
    smbs = await installation.add_smbs(10)
    messages = traffic(3, smbs, 60, NOTHING_BROKEN)
    marked = event("EmailOpened", smbs[0], message_id=MARK)
    async with load_on(installation) as load:
        places = await load.send([*messages[:30], marked, *messages[30:]])
        worker = installation.start("engagement", PROGRAM, ALTERED=FAILS_ON_ONE)
        dump = await all_hold(installation, load)
    parked = [letter for letter in dump.letters if letter.place in places]
    assert [(one.place, one.value) for one in parked] == [(places[30], marked.value)]
    assert {one.place for one in dump.events} >= set(places) - {places[30]}
    (row,) = await installation.fetch("SELECT attempts, reason FROM dead_letters ORDER BY id DESC LIMIT 1")
    assert tuple(row) == (3, r"ZeroDivisionError: the marked record\0")
    assert worker.ops("/readyz")[0] == 200
    assert worker.terminate() == 0


async def test_a_batch_that_takes_too_long_is_halved_until_it_fits(installation: Installation) -> None:
    smbs = await installation.add_smbs(10)
    async with load_on(installation) as load:
        places = await load.send([
            event("EmailOpened", smbs[number % 10], message_id=f"m-{number}") for number in range(100)
        ])  # fmt: skip
        worker = installation.start("engagement", PROGRAM, ALTERED=SLOW)
        dump = await all_hold(installation, load)
    assert {one.place for one in dump.events} >= set(places)
    assert "batch failed and is halved" in worker.logged()
    assert metric(worker.ops("/metrics")[1], "smb_dead_letters_total") == 0
    assert worker.terminate() == 0
