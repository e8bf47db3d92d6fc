"""The room of a demo: everything in it goes, and nothing else, however much it looks like one."""

import asyncpg
import pytest

from deploy.local import Stack
from services.demo.room import NEVER, Room, clear_left_overs, environment
from shared.runtime.settings import Settings, load_settings
from tests.conftest import with_database
from tests.demo.conftest import Start
from tests.demo.inhabitants import living_on, names_on, room_of
from tests.demo.running import SMALL, have_ended, workers

OTHERS_DATABASES = ["smb_crm_demo_customers", "smb_crm_demo_20260101_000000_beef_copy"]
OTHERS_TOPICS = ["demo.orders", "demo.20260101_000000.orders", "demo.orders.20260101_000000_beef.smb.events"]
# Left by a run that was killed, or used by one that runs elsewhere.
A_ROOM = "smb_crm_demo_20260101_000000_beef", "demo.20260101_000000_beef.smb.events"
A_ROOM_IN_USE = "smb_crm_demo_20260102_000000_cafe", "demo.20260102_000000_cafe.smb.events"
ROOM = Room("postgresql://me@host:5432/mine", "smb_crm_demo_1", "demo.1.")


def settings_for(stack: Stack) -> Settings:
    return load_settings(database_url=stack.database_url, kafka_bootstrap_servers=stack.bootstrap_servers)


async def test_a_worker_that_dies_fails_the_demo_which_removes_its_own_room_and_nothing_of_somebody_elses(
    start: Start, servers: dict[str, str], stack: Stack
) -> None:
    databases, topics = [*OTHERS_DATABASES, A_ROOM[0]], [*OTHERS_TOPICS, A_ROOM[1]]
    async with living_on(stack, databases, topics):
        demo = start("--once", *SMALL, environment=servers)
        demo.until("Created 6 communities")
        assert len(await room_of(demo, stack)) > 1
        started = demo.descendants()

        workers(started)["tier"].kill()

        assert demo.end() == 1
        lines = demo.written.strip().splitlines()
        told = next(line for line in lines if "ended by itself" in line)
        assert told.startswith("smb-crm: the worker tier ended by itself with exit code -9; its log is ")
        assert "worker is consuming" in lines[lines.index(told) - 1]
        assert "Stopping the servers" not in demo.written
        assert have_ended(started)
        assert await room_of(demo, stack) == []
        assert {*databases, *topics} <= await names_on(stack)


async def test_on_the_demos_own_servers_only_what_is_named_exactly_as_a_room_is_cleared_away(stack: Stack) -> None:
    if stack.is_somebody_elses:
        pytest.skip("on servers that are somebody else's even a room may be dear to somebody")
    databases, topics = zip(A_ROOM, A_ROOM_IN_USE, strict=True)
    async with living_on(stack, [*OTHERS_DATABASES, *databases], [*OTHERS_TOPICS, *topics]):
        looking = await asyncpg.connect(with_database(stack.database_url, A_ROOM_IN_USE[0]))

        await clear_left_overs(stack.database_url, settings_for(stack))

        left = await names_on(stack)
        await looking.close()
        assert {*OTHERS_DATABASES, *OTHERS_TOPICS, *A_ROOM_IN_USE} <= left
        assert not left.intersection(A_ROOM)


def test_settings_of_somebody_elses_servers_stay_there_and_are_left_out_on_our_own() -> None:
    users = {"SMB_KAFKA_CA_FILE": "/ca.pem", "SMB_TOPIC_REPLICATION": "3", "SMB_POLICY_FILE": "/p.toml"}

    theirs = environment(ROOM, "kafka:9092", users, somebody_elses=True)
    ours = environment(ROOM, "127.0.0.1:9092", users, somebody_elses=False)

    assert users.items() <= theirs.items()
    assert "SMB_KAFKA_CA_FILE" not in ours
    assert (ours["SMB_TOPIC_REPLICATION"], ours["SMB_POLICY_FILE"]) == ("1", "/p.toml")


@pytest.mark.parametrize("somebody_elses", [True, False])
def test_what_would_mislead_workers_is_never_inherited_also_not_from_a_file(*, somebody_elses: bool) -> None:
    users = {variable: "x" for name in NEVER for variable in (name, f"{name}_FILE")}

    assert not users.keys() & environment(ROOM, "kafka:9092", users, somebody_elses=somebody_elses).keys()
