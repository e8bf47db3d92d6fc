"""The database goes back to a backup: workers stop loudly, `after-restore` puts things right."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from deploy.local import Stack
from shared.schemas.identity import SmbKey
from tests.cli.backups import backups_of
from tests.cli.rehearsal import (
    Rehearsal,
    approvals,
    as_document,
    callbacks,
    campaign_of,
    commands,
    create,
    erase_now,
    is_stopped,
    publish_at,
    start,
    stop,
    story,
)
from tests.commands import smb_crm, succeeds
from tests.installation import Installation, eventually

# Where the campaign that is kept has to stand in the end, and how it came there.
CAMPAIGN = (
    "running",
    '["before", "after", "later"]',
    [("StartCampaign", "applied"), ("PauseCampaign", "applied"), ("ResumeCampaign", "applied")],
)


@pytest.fixture(scope="module")
async def rehearsal(stack: Stack, installation: Installation) -> AsyncIterator[Rehearsal]:
    """A backup, then more events, a creation and an erasure, and the workers still run."""
    kept, doomed = await installation.add_smbs(2)
    created = SmbKey(kept.tenant_id, uuid4())
    async with backups_of(stack, installation) as backups:
        workers = await start(installation)
        await installation.publish([*approvals(kept, "before", 3), *approvals(doomed, "before", 3)])
        await installation.publish(commands(kept, "StartCampaign"))
        await installation.idle()
        backup = await backups.take()
        taken_at = datetime.now(UTC).isoformat()
        await installation.publish([*approvals(kept, "after", 2), *callbacks(kept, 3), *approvals(doomed, "after", 1)])
        await installation.publish(commands(kept, "PauseCampaign", "StartCampaign", "ResumeCampaign"))
        await create(installation, created)
        await erase_now(installation, doomed)
        await installation.idle()
        yield Rehearsal(installation, backups, backup, taken_at, kept, doomed, created, workers)


async def test_a_database_that_goes_back_stops_running_workers_loudly(rehearsal: Rehearsal) -> None:
    await rehearsal.backups.restore(rehearsal.backup)
    await rehearsal.installation.publish(approvals(rehearsal.kept, "later", 1))
    stopping = [worker for worker in rehearsal.workers if worker.name != "tier"]
    for worker in stopping:
        await eventually(partial(is_stopped, worker), "the worker stops")
        assert "smb-crm after-restore" in worker.logged()


async def test_after_restore_refuses_while_workers_run(rehearsal: Rehearsal) -> None:
    ran = await smb_crm(rehearsal.installation.environment, "after-restore")
    assert "are running: stop them first" in ran.failure
    assert await rehearsal.installation.value("SELECT epoch FROM installation") == 1
    await stop(rehearsal.workers)


async def test_a_worker_that_starts_before_after_restore_stops_too(rehearsal: Rehearsal) -> None:
    workers = [rehearsal.installation.start(name) for name in ("engagement", "campaign")]
    for worker in workers:
        await eventually(partial(is_stopped, worker), "the worker stops")
    await stop(workers)


async def test_after_restore_raises_the_epoch_erases_again_and_lists_what_only_readers_know(
    rehearsal: Rehearsal,
) -> None:
    report = await rehearsal.after_restore("--backup-taken-at", rehearsal.taken_at)
    assert report["epoch"] == 2
    assert report["erased_again"] == [as_document(rehearsal.doomed)]
    assert report["only_readers_know"] == [as_document(rehearsal.created)]
    assert report["records_to_read_again"] >= 3
    assert report["records_lost_to_retention"] == 0


async def test_then_the_state_equals_a_replay_and_sequences_go_on_under_the_new_epoch(rehearsal: Rehearsal) -> None:
    await rehearsal.work_it_off()
    fetch, kept, doomed = rehearsal.installation.fetch, rehearsal.kept, rehearsal.doomed
    events = await fetch("SELECT event_id FROM engagement_events WHERE smb_id = $1 ORDER BY 1", kept.smb_id)
    ids = [row["event_id"] for row in events]
    assert " ".join(ids) == "after-0 after-1 before-0 before-1 before-2 call-0 call-1 call-2 later-0"
    assert await fetch("SELECT 1 FROM engagement_events WHERE smb_id = $1", doomed.smb_id) == []
    for smb in (kept, doomed):
        told = await story(rehearsal.installation, smb)
        assert [number for _, number, _ in told] == list(range(1, len(told) + 1))
        assert {epoch for epoch, _, _ in told} == {1, 2}
    assert (await story(rehearsal.installation, doomed))[-1][2] == "SMBErased"


async def test_then_commands_and_approvals_that_are_read_again_are_applied_once(rehearsal: Rehearsal) -> None:
    """The start was taken before the backup, and again as a copy; pause and resume are only in Kafka."""
    assert await campaign_of(rehearsal.installation, rehearsal.kept) == CAMPAIGN
    told = await rehearsal.installation.announcements(rehearsal.kept, "SMBCampaignChanged")
    caused = [(int(one["epoch"]), one["causationid"]) for one in told]
    again = [(2, id_) for id_ in ("PauseCampaign", "ResumeCampaign")]
    assert sorted(caused) == sorted([(1, id_) for id_, _ in CAMPAIGN[2]] + again)


async def test_after_restore_again_changes_nothing_but_the_epoch(rehearsal: Rehearsal) -> None:
    before = await story(rehearsal.installation, rehearsal.kept)
    report = await rehearsal.after_restore("--backup-taken-at", rehearsal.taken_at)
    assert (report["epoch"], report["erased_again"]) == (3, [])
    await rehearsal.work_it_off()
    assert await story(rehearsal.installation, rehearsal.kept) == before
    assert await campaign_of(rehearsal.installation, rehearsal.kept) == CAMPAIGN


async def test_the_same_backup_again_gets_an_epoch_that_no_reader_has_seen(rehearsal: Rehearsal) -> None:
    seen = max(int(one["epoch"]) for one in await rehearsal.installation.announcements())
    await rehearsal.backups.restore(rehearsal.backup)
    report = await rehearsal.after_restore()
    assert report["epoch"] == seen + 1
    assert report["erased_again"] == [as_document(rehearsal.doomed)]
    await rehearsal.work_it_off()
    assert await campaign_of(rehearsal.installation, rehearsal.kept) == CAMPAIGN


async def test_records_that_waited_long_before_the_backup_are_read_again(
    stack: Stack, installation: Installation
) -> None:
    (smb,) = await installation.add_smbs(1)
    async with backups_of(stack, installation) as backups:
        await publish_at(installation, approvals(smb, "old", 3), datetime.now(UTC) - timedelta(days=2))
        backup = await backups.take()
        workers = await start(installation)
        await installation.idle()
        await stop(workers)
        await backups.restore(backup)
        now = datetime.now(UTC).isoformat()
        out = (await succeeds(installation.environment, "after-restore", "--backup-taken-at", now)).out
        assert "Start the workers now" in out
        workers = await start(installation)
        await installation.idle()
        assert await installation.value("SELECT count(*) FROM engagement_events WHERE smb_id = $1", smb.smb_id) == 3
        await succeeds(installation.environment, "verify")
        await stop(workers)
