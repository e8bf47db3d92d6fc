"""The records worker: the weekly jobs from their trigger to their end, and who parks unknown triggers."""

from shared.schemas.identity import SmbKey
from tests.installation import Installation, trigger

RUNS = "SELECT name, status, smbs_seen, smbs_changed FROM job_runs ORDER BY name"


async def test_the_weekly_jobs_run_to_their_end_and_an_unknown_trigger_is_parked(installation: Installation) -> None:
    deleted, kept, rated = await installation.add_smbs(3)
    await delete(installation, deleted, 91)
    await delete(installation, kept, 89)
    await installation.fetch("UPDATE smbs SET data_quality_score = 99")
    before = await installation.fetch("SELECT updated_at, revision FROM smbs WHERE id = $1", rated.smb_id)
    worker = installation.start("records", SMB_SHARD_MAX_SMBS="2")
    await installation.publish([trigger("RecalculateDataQuality", id_="w"), trigger("MakeCoffee")])
    await installation.idle()
    await installation.publish([trigger("CleanupDeletedSMBs"), trigger("RecalculateDataQuality", id_="w")])
    await installation.idle()

    runs = await installation.fetch(RUNS)
    assert [tuple(row) for row in runs][1:] == [("RecalculateDataQuality", "finished", 3, 3)]
    assert [tuple(row)[:2] for row in runs][:1] == [("CleanupDeletedSMBs", "finished")]
    assert runs[0]["smbs_changed"] == 1
    rows = await installation.fetch("SELECT id, data_quality_score FROM smbs")
    # The name, and an opt-in without which nobody is created.
    assert {row["id"]: row["data_quality_score"] for row in rows} == {kept.smb_id: 25, rated.smb_id: 25}
    assert await installation.fetch("SELECT updated_at, revision FROM smbs WHERE id = $1", rated.smb_id) == before
    told = [(one["type"], one["subject"]) for one in await installation.announcements()]
    assert told == [("SMBErased", str(deleted.smb_id))]
    letters = await installation.fetch("SELECT service, error_class FROM dead_letters")
    assert [tuple(row) for row in letters] == [("records", "unknown_type")]
    assert worker.terminate() == 0, worker.logged()


async def delete(installation: Installation, smb: SmbKey, days_ago: int) -> None:
    await installation.fetch(
        "UPDATE smbs SET deleted_at = now() - make_interval(days => $3) WHERE (tenant_id, id) = ($1, $2)",
        *smb,
        days_ago,
    )
