"""A database that was restored is noticed before anything is applied, whichever partition shows it."""

from dataclasses import replace

from shared.schemas.identity import SmbKey
from tests.installation import Installation, event, eventually

QUIET, BUSY = 0, 1


async def test_a_worker_stops_also_when_only_another_services_row_went_back(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await _publish(installation, smb, QUIET, "told")
    await installation.idle()
    assert worker.terminate() == 0
    move = "UPDATE consumer_progress SET next_offset = next_offset + $1 WHERE consumer_group = $2"
    await installation.fetch(move, -1, installation.topics.group("engagement"))
    worker = installation.start("campaign")
    await eventually(lambda: "after-restore" in worker.logged(), "the log names the command")
    assert worker.ops("/readyz")[0] == 503
    assert worker.terminate() == 0
    await installation.fetch(move, 1, installation.topics.group("engagement"))


async def test_a_row_behind_stops_the_worker_also_when_events_come_in_another_partition(
    installation: Installation,
) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await _publish(installation, smb, QUIET, "first")
    await _publish(installation, smb, BUSY, "second")
    await installation.idle()
    assert worker.terminate() == 0
    # Only the quiet partition's row goes back, as if the backup were older than its last event.
    await installation.fetch(
        "UPDATE consumer_progress SET next_offset = 0 WHERE topic = $1 AND partition_number = $2",
        installation.topics.full_name("email.opened"),
        QUIET,
    )
    worker = installation.start("engagement")
    await _publish(installation, smb, BUSY, "after")
    await eventually(lambda: "after-restore" in worker.logged(), "the log names the command")
    status, problems = worker.ops("/readyz")
    assert (status, "after-restore" in problems) == (503, True)
    assert await installation.value("SELECT count(*) FROM engagement_events WHERE event_id = 'after'") == 0
    assert worker.terminate() == 0


async def _publish(installation: Installation, smb: SmbKey, partition: int, id_: str) -> None:
    message = event("EmailOpened", smb, id_=id_, message_id="m")
    await installation.publish([replace(message, partition=partition)])
