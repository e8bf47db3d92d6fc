"""`smb-crm status` and `smb-crm positions`: what is under way, and reading again."""

import re
from datetime import UTC, datetime, timedelta

from tests.commands import smb_crm, succeeds
from tests.installation import Installation, event, eventually


async def test_status_tells_what_is_not_read_yet_and_can_wait_until_nothing_is(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    messages = [event("EmailOpened", smb, message_id=f"m-{number}") for number in range(20)]
    await installation.publish(messages)
    before = (await succeeds(installation.environment, "status", "--json")).document
    assert before["lag_records"][f"{installation.topics.prefix}engagement"] == 20
    assert not before["idle"]
    failure = (await smb_crm(installation.environment, "status", "--wait-idle", "0.1")).failure
    assert "engagement has 20 records to read" in failure
    installation.start("engagement")
    installation.start("tier")
    after = (await succeeds(installation.environment, "status", "--json", "--wait-idle", "60")).document
    assert after["idle"]
    assert await installation.value("SELECT count(*) FROM engagement_events") == 20
    assert "Idle" in (await succeeds(installation.environment, "status")).out


async def test_positions_are_listed_for_every_group_and_partition(installation: Installation) -> None:
    found = (await succeeds(installation.environment, "positions", "list", "--json")).document
    assert {one["group"] for one in found} == set(installation.topics.groups())
    group = f"{installation.topics.prefix}engagement"
    read = [one for one in found if one["group"] == group and one["log_end"]]
    assert read
    assert all(one["database"] == one["committed"] == one["log_end"] and one["lag"] == 0 for one in read)
    assert group in (await succeeds(installation.environment, "positions", "list")).out


async def test_a_group_is_rewound_only_while_its_workers_are_stopped(installation: Installation) -> None:
    group = f"{installation.topics.prefix}engagement"
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    rewind = ("positions", "rewind", "--to", since, "--group", group)
    failure = (await smb_crm(installation.environment, *rewind)).failure
    assert "are running: stop them first" in failure
    for worker in installation.workers:
        assert worker.terminate() == 0
    ran = await succeeds(installation.environment, *rewind)
    assert re.match("20 records will be read again", ran.out)
    installation.start("engagement")
    await eventually(
        lambda: installation.value("SELECT true FROM consumer_progress WHERE consumer_group = $1", group),
        "the group reads",
    )
    await installation.idle()
    assert await installation.value("SELECT sum(engagement_score) FROM smb_heads") == 20
    assert await installation.value("SELECT count(*) FROM engagement_events") == 20


async def test_a_rewind_never_moves_forward(installation: Installation) -> None:
    installation.stop_workers()
    for worker in installation.workers:
        assert worker.process.poll() is not None
    (smb,) = await installation.add_smbs(1)
    await installation.publish([event("EmailClicked", smb, message_id="m", url="https://example.test")])
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    rewind = ("positions", "rewind", "--to", future, "--group", f"{installation.topics.prefix}tier")
    ran = await eventually(lambda: rewound(installation, rewind), "the killed workers have left their groups")
    assert ran.startswith("0 records will be read again")


async def rewound(installation: Installation, rewind: tuple[str, ...]) -> str | None:
    """What a rewind says, once no killed worker counts as running any more."""
    ran = await smb_crm(installation.environment, *rewind)
    return ran.out if ran.code == 0 else None


async def test_a_group_that_there_is_not_is_named(installation: Installation) -> None:
    ran = await smb_crm(
        installation.environment, "positions", "rewind", "--to", "2026-01-01T00:00:00Z", "--group", "nobody"
    )
    assert "there is no group nobody" in ran.failure
