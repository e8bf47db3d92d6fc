"""`smb-crm verify`: nothing differs after real traffic, each planted difference is found and named."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.verify import KINDS, verify
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.commands import smb_crm, succeeds
from tests.installation import Installation, Message, event, eventually, trigger
from tests.verify.examples import differences, start_campaign

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Planted:
    """A difference that SQL makes and takes back again, and where it has to be found."""

    kind: str
    what: str
    statement: str
    undo: str


HEAD = "UPDATE smb_heads SET {} WHERE smb_id = $1"
MESSAGES = "WITH told AS (UPDATE outgoing_messages SET type = '{1}' WHERE smb_id = $1 AND type = '{0}') "
PLANTED = (
    Planted(
        "score",
        "engagement_score",
        HEAD.format("engagement_score = engagement_score + 1"),
        HEAD.format("engagement_score = engagement_score - 1"),
    ),
    Planted(
        "announced",
        "announced_score",
        MESSAGES.format("SMBEngagementChanged", "Forgotten") + HEAD.format("announced_score = announced_score + 11"),
        MESSAGES.format("Forgotten", "SMBEngagementChanged") + HEAD.format("announced_score = announced_score - 11"),
    ),
    Planted(
        "last_seen",
        "last_email_click",
        HEAD.format("last_email_click = last_email_click + interval '1 microsecond'"),
        HEAD.format("last_email_click = last_email_click - interval '1 microsecond'"),
    ),
    Planted(
        "tier",
        "engagement_tier",
        "UPDATE smbs SET engagement_tier = 5 - engagement_tier WHERE id = $1",
        "UPDATE smbs SET engagement_tier = 5 - engagement_tier WHERE id = $1",
    ),
    Planted("sequence", "last number", HEAD.format("sequence = sequence + 1"), HEAD.format("sequence = sequence - 1")),
    Planted(
        "sequence",
        "messages from number 1 on",
        "UPDATE outgoing_messages SET tenant_id = gen_random_uuid() WHERE smb_id = $1 AND sequence = 1",
        "UPDATE outgoing_messages SET tenant_id = (SELECT tenant_id FROM smbs WHERE id = $1)"
        " WHERE smb_id = $1 AND sequence = 1",
    ),
    Planted(
        "campaign",
        "day of campaign",
        "UPDATE campaigns SET day = day + 1 WHERE smb_id = $1",
        "UPDATE campaigns SET day = day - 1 WHERE smb_id = $1",
    ),
    Planted(
        "campaign",
        "next_scheduled_send",
        "UPDATE smbs SET next_scheduled_send = next_scheduled_send + interval '1 hour' WHERE id = $1",
        "UPDATE smbs SET next_scheduled_send = next_scheduled_send - interval '1 hour' WHERE id = $1",
    ),
    Planted(
        "data_quality",
        "data_quality_score",
        "UPDATE smbs SET business_name = ' ' WHERE id = $1",
        "UPDATE smbs SET business_name = 'A business' WHERE id = $1",
    ),
)


@pytest.fixture(scope="module")
async def lived(installation: Installation) -> tuple[Installation, SmbKey]:
    """An installation with real traffic behind it, and the SMB of it that has everything."""
    keys = await installation.add_smbs(30)
    unknown = SmbKey(keys[0].tenant_id, uuid4())
    installation.start("engagement")
    installation.start("tier")
    await installation.publish([one for key in (*keys, unknown) for one in traffic(key)])
    await installation.publish([event("ContentViewed", key, content_id="again") for key in keys])
    await start_campaign(installation, keys[0], NOW - timedelta(days=10))
    await installation.idle()
    await installation.publish([trigger("RecalculateEngagementScores"), trigger("EvaluateTierTransitions")])
    await eventually(lambda: evaluated(installation), "the evaluation is finished")
    await installation.idle()
    return installation, keys[0]


def traffic(smb: SmbKey) -> list[Message]:
    """More than 60 points, some late, some long ago, some repeated."""
    clicks = [
        event("EmailClicked", smb, time=NOW - timedelta(days=days), message_id="m", url="https://example.test/")
        for days in (0, 1, 2, 5, 8, 13, 21, 29, 30, 45, 3, 4)
    ]
    approvals = [
        event("ApprovalSubmitted", smb, time=NOW - timedelta(days=days), approval_id=f"a-{days}", service="Web")
        for days in (0, 1, 10, 60, 300, 2)
    ]
    opens = [event("EmailOpened", smb, message_id=f"o-{number}") for number in range(12)]
    return [*clicks, *approvals, *opens, *clicks[:3]]


async def evaluated(installation: Installation) -> bool:
    finished: int = await installation.value("SELECT count(*) FROM job_runs WHERE status = 'finished'")
    return finished == 2


async def test_after_real_traffic_nothing_differs(lived: tuple[Installation, SmbKey]) -> None:
    installation, smb = lived
    found = (await succeeds(installation.environment, "verify", "--json")).document
    assert found["smbs_checked"] == 31
    assert (found["mismatches"], found["differences"]) == (0, [])
    assert found["mismatches_by_kind"] == dict.fromkeys(KINDS, 0)
    out = (await succeeds(installation.environment, "verify")).out
    assert "31 of 31 SMBs equal a replay of their events" in out
    assert await installation.value("SELECT engagement_tier FROM smbs WHERE id = $1", smb.smb_id) < 4


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.kind}: {planted.what}")
async def test_a_planted_difference_is_found_and_named(lived: tuple[Installation, SmbKey], planted: Planted) -> None:
    installation, smb = lived
    await installation.fetch(planted.statement, smb.smb_id)
    try:
        ran = await smb_crm(installation.environment, "verify", "--json")
    finally:
        await installation.fetch(planted.undo, smb.smb_id)
    assert "in 1 of 31 SMBs" in ran.failure
    assert ran.document["mismatches_by_kind"][planted.kind] >= 1
    of_kind = [one for one in ran.document["differences"] if one["kind"] == planted.kind]
    assert any(one["what"].startswith(planted.what) for one in of_kind)
    assert {(one["tenant_id"], one["smb_id"]) for one in of_kind} == {(str(smb.tenant_id), str(smb.smb_id))}
    assert await differences(installation) == []


async def test_people_get_a_line_for_each_difference(lived: tuple[Installation, SmbKey]) -> None:
    installation, smb = lived
    raise_announced = "UPDATE smb_heads SET announced_score = announced_score + $2 WHERE smb_id = $1"
    await installation.fetch(raise_announced, smb.smb_id, 12)
    try:
        ran = await smb_crm(installation.environment, "verify", "--tenant", smb.tenant_id)
    finally:
        await installation.fetch(raise_announced, smb.smb_id, -12)
    assert "1 differences in 1 of 2 SMBs" in ran.failure
    assert f"announced: tenant {smb.tenant_id} SMB {smb.smb_id}: announced_score is" in ran.out
    assert "1 of 2 SMBs equal a replay of their events" in ran.out


async def test_a_score_that_misses_an_event_differs_and_so_does_a_tier_that_misses_its_score(
    lived: tuple[Installation, SmbKey],
) -> None:
    installation, smb = lived
    taken = (
        "SELECT event_key FROM engagement_events WHERE smb_id = $1 AND kind = 'approval_approved'"
        " ORDER BY occurred_at DESC LIMIT 1"
    )
    key = await installation.value(taken, smb.smb_id)
    hide = "UPDATE engagement_events SET kind = $3 WHERE smb_id = $1 AND event_key = $2"
    await installation.fetch(hide, smb.smb_id, key, "approval_rejected")
    try:
        found = await differences(installation)
    finally:
        await installation.fetch(hide, smb.smb_id, key, "approval_approved")
    assert {one.kind for one in found} <= {"score", "last_seen"}
    assert any(one.what == "engagement_score" for one in found)
    assert await differences(installation) == []


async def test_a_tier_that_the_nightly_evaluation_has_seen_must_fit_the_score(
    lived: tuple[Installation, SmbKey],
) -> None:
    installation, _ = lived
    policy = Policy.default()
    higher = policy.model_copy(
        update={"tiers": tuple(rule.model_copy(update={"min_score": rule.min_score // 2}) for rule in policy.tiers)}
    )
    found = await differences(installation, higher)
    assert {one.kind for one in found} == {"tier"}
    assert len({one.smb for one in found}) == 30


async def test_any_size_of_chunk_checks_every_smb_once(lived: tuple[Installation, SmbKey]) -> None:
    installation, smb = lived
    for chunk_smbs in (1, 7, 31, 100):
        counted: list[int] = []
        found = await verify(installation.database, Policy.default(), chunk_smbs=chunk_smbs, on_progress=counted.append)
        assert (found.smbs_checked, sum(counted), found.mismatches) == (31, 31, 0)
        assert max(counted) <= chunk_smbs
    of_tenant = await verify(installation.database, Policy.default(), tenant_id=smb.tenant_id, chunk_smbs=1)
    assert of_tenant.smbs_checked == 2


async def test_only_a_verification_of_everything_is_noted_and_becomes_the_metric(
    lived: tuple[Installation, SmbKey],
) -> None:
    installation, smb = lived
    noted = "SELECT count(*) FROM verifications"
    before = await installation.value(noted)
    await succeeds(installation.environment, "verify", "--tenant", smb.tenant_id)
    assert await installation.value(noted) == before
    await succeeds(installation.environment, "verify")
    assert await installation.value(noted) == before + 1

    async def all_kinds_are_shown() -> bool:
        _, metrics = await asyncio.to_thread(installation.workers[0].ops, "/metrics")
        return all(f'smb_verify_mismatches{{kind="{kind}"}} 0.0' in metrics for kind in KINDS)

    await eventually(all_kinds_are_shown, "the metric shows every kind with 0")


async def test_nothing_differs_while_workers_run(lived: tuple[Installation, SmbKey]) -> None:
    installation, smb = lived
    busy = asyncio.create_task(keep_busy(installation, smb))
    verifications = 0
    while not busy.done() or verifications < 3:
        assert await differences(installation, chunk_smbs=5) == []
        verifications += 1
    await busy
    await installation.idle()
    assert await differences(installation) == []


async def keep_busy(installation: Installation, smb: SmbKey) -> None:
    """Events for the SMB with everything, in many small batches."""
    for _ in range(15):
        await installation.publish([event("RVMDelivered", smb, drop_id=uuid4().hex) for _ in range(25)])
