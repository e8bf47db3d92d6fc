"""`smb-crm trigger`: what is published, and under which id."""

import json
from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord

from shared.schemas.catalog import SCHEDULE_TRIGGERS
from shared.schemas.envelope import Input, decode
from shared.schemas.schedules import scheduled_for
from tests.commands import Ran, succeeds
from tests.installation import Installation, eventually


async def published(installation: Installation, ran: Ran) -> tuple["ConsumerRecord[bytes, bytes]", Input]:
    """The record that a trigger's output speaks of."""
    place = ran.document["partition"], ran.document["offset"]
    (record,) = [one for one in await installation.read_topic("smb.schedule") if (one.partition, one.offset) == place]
    return record, decode(record, frozenset(SCHEDULE_TRIGGERS))


async def test_a_run_by_hand_gets_a_fresh_id_and_the_latest_due_time(installation: Installation) -> None:
    before = scheduled_for("RecalculateEngagementScores", None, datetime.now(UTC))
    runs = [
        await succeeds(installation.environment, "trigger", "RecalculateEngagementScores", "--json") for _ in range(2)
    ]
    assert runs[0].document["id"] != runs[1].document["id"]
    for ran in runs:
        record, decoded = await published(installation, ran)
        assert record.key == b"RecalculateEngagementScores"
        assert dict(record.headers)["ce_specversion"] == b"1.0"
        assert json.loads(record.value).keys() == {"scheduled_for"}
        assert (decoded.source, decoded.id, decoded.smb) == ("/modules/smb-crm", ran.document["id"], None)
        due = datetime.fromisoformat(ran.document["scheduled_for"])
        assert before <= due <= datetime.now(UTC)
        assert (due.hour, due.minute) == (2, 0)


async def test_a_cronjobs_pod_repeats_the_jobs_name_and_minute(installation: Installation) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=5)
    name = f"smb-crm-advance-{int(minute.timestamp()) // 60}"
    environment = installation.environment | {"SMB_JOB_NAME": name}
    runs = [await succeeds(environment, "trigger", "AdvanceManifestDestinyDay", "--json") for _ in range(2)]
    decoded = [(await published(installation, ran))[1] for ran in runs]
    assert {one.id for one in decoded} == {name}
    assert decoded[0].event_key == decoded[1].event_key
    assert {one.data.scheduled_for for one in decoded} == {minute}  # type: ignore[attr-defined]


async def test_a_given_time_wins_and_both_are_printed(installation: Installation) -> None:
    environment = installation.environment | {"SMB_JOB_NAME": "smb-crm-evaluate-29543160"}
    ran = await succeeds(
        environment, "trigger", "EvaluateTierTransitions", "--scheduled-for", "2026-03-01T05:00:00+02:00"
    )
    assert "2026-03-01 03:00:00 UTC" in ran.out
    assert "smb-crm-evaluate-29543160" in ran.out


async def test_a_job_runs_once_however_often_its_trigger_comes(installation: Installation) -> None:
    await installation.add_smbs(3)
    installation.start("engagement")
    environment = installation.environment | {"SMB_JOB_NAME": "smb-crm-recalculate-by-name"}
    for _ in range(2):
        await succeeds(environment, "trigger", "RecalculateEngagementScores")
    await eventually(
        lambda: installation.value("SELECT true FROM repeated_inputs WHERE event_id = 'smb-crm-recalculate-by-name'"),
        "the second trigger is seen as a copy",
    )
    await installation.idle()
    runs = await installation.fetch("SELECT status FROM job_runs WHERE trigger_id = 'smb-crm-recalculate-by-name'")
    assert [run["status"] for run in runs] == ["finished"]
