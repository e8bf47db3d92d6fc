"""Approvals in one transaction: which services they make pending, and what waits."""

import json
import uuid
from datetime import UTC, datetime

from services.campaign.approvals import take_over_approvals
from services.campaign.rules import PENDING_MOST
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from tests.campaign.desk import NOW, CampaignDesk, approval, pending_changes


async def test_each_approval_that_changes_the_list_is_told(desk: CampaignDesk) -> None:
    smb = await desk.add(services_activated=json.dumps(["Ads"]), services_approved_pending=json.dumps(["Web"]))
    sent = [approval(smb, service) for service in ("Mail", "Ads", "Web", "Calls", "Mail")]
    outcome = await desk.apply(*sent)
    assert outcome.applied == 5
    assert await desk.pending(smb) == ["Web", "Mail", "Calls"]
    assert pending_changes(outcome) == [(("Web",), ("Web", "Mail")), (("Web", "Mail"), ("Web", "Mail", "Calls"))]
    assert [one.causation_id for one in outcome.announcements] == [sent[0].id, sent[3].id]
    assert (await desk.smb(smb))["updated_at"] == NOW
    assert await desk.ledger(smb) == [
        ("ApprovalSubmitted", "applied", service) for service in ("Mail", "Ads", "Web", "Calls", "Mail")
    ]


async def test_an_approval_that_changes_nothing_leaves_the_profile_as_it_was(desk: CampaignDesk) -> None:
    smb = await desk.add(services_activated=json.dumps(["Ads"]))
    outcome = await desk.apply(approval(smb, "Ads"), approval(smb, "Mail", "rejected"))
    assert (outcome.applied, outcome.announcements) == (2, [])
    assert await desk.pending(smb) == []
    assert (await desk.smb(smb))["updated_at"] == datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_rejection_removes_nothing(desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(approval(smb, "Mail"))
    await desk.apply(approval(smb, "Mail", "rejected"))
    assert await desk.pending(smb) == ["Mail"]
    assert await desk.ledger(smb) == [("ApprovalSubmitted", "applied", "Mail"), ("ApprovalSubmitted", "applied", None)]


async def test_of_a_repeated_approval_the_first_counts(desk: CampaignDesk) -> None:
    smb = await desk.add()
    first, differing = approval(smb, "Mail", id_="one"), approval(smb, "Calls", id_="one")
    outcome = await desk.apply(first, differing)
    assert (outcome.applied, outcome.repeated) == (1, 1)
    assert [(copy.input, copy.differs) for copy in outcome.copies] == [(differing, True)]
    again = await desk.apply(first, differing)
    assert (again.repeated, len(again.copies), again.announcements) == (2, 1, [])
    assert await desk.pending(smb) == ["Mail"]


async def test_an_approval_under_the_identity_of_another_event_changes_nothing(desk: CampaignDesk) -> None:
    smb = await desk.add()
    taken, own = approval(smb, "Mail"), approval(smb, "Calls")
    for message, kind, service in ((taken, "email_opened", None), (own, "approval_approved", "Calls")):
        await desk.fetch(
            "INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,"
            " partition_number, kind, source, event_id, reference, service)"
            " VALUES ($1, $2, $3, $4, $4, 0, 0, $5, '/test', $6, 'm-1', $7)",
            *smb,
            message.event_key,
            NOW,
            kind,
            message.id,
            service,
        )
    outcome = await desk.apply(taken, own)
    assert (outcome.applied, outcome.repeated) == (1, 1)
    assert [(copy.input, copy.differs) for copy in outcome.copies] == [(taken, True)]
    assert await desk.pending(smb) == ["Calls"]
    assert len(await desk.ledger(smb)) == 1


async def test_approvals_wait_for_an_unknown_smb_in_the_order_of_arrival(desk: CampaignDesk) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    outcome = await desk.apply(approval(smb, "Web"), approval(smb, "Ads", "rejected"), approval(smb, "Mail"))
    outcome.add(await desk.apply(approval(smb, "Calls"), approval(smb, "Web")))
    assert (outcome.applied, outcome.announcements) == (5, [])
    assert [result for _, result, _ in await desk.ledger(smb)] == [
        "waiting",
        "applied",
        "waiting",
        "waiting",
        "waiting",
    ]
    assert await taken_over(desk, smb) == ("Web", "Mail", "Calls")


async def test_approvals_of_a_deleted_smb_wait_for_its_restoration(desk: CampaignDesk) -> None:
    smb = await desk.add(deleted_at=NOW)
    outcome = await desk.apply(approval(smb, "Mail"))
    assert (outcome.applied, outcome.announcements) == (1, [])
    assert await desk.pending(smb) == []
    assert await desk.ledger(smb) == [("ApprovalSubmitted", "waiting", "Mail")]


async def test_approvals_of_an_erased_smb_are_not_kept(desk: CampaignDesk) -> None:
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *smb)
    assert (await desk.apply(approval(smb, "Mail"))).erased == 1
    assert await desk.ledger(smb) == []


async def test_another_tenant_takes_nothing_of_it(desk: CampaignDesk) -> None:
    smb = await desk.add()
    twin = await desk.add(key=SmbKey(uuid.uuid4(), smb.smb_id))
    await desk.apply(approval(smb, "Mail", id_="shared"))
    assert await desk.pending(twin) == []
    assert (await desk.apply(approval(twin, "Calls", id_="shared"))).applied == 1
    assert (await desk.pending(smb), await desk.pending(twin)) == (["Mail"], ["Calls"])


async def taken_over(desk: CampaignDesk, smb: SmbKey) -> tuple[str, ...]:
    """What the creation of an SMB takes over."""
    pending: dict[SmbKey, tuple[str, ...]] = {}

    async def create(transaction: Transaction) -> Outcome:
        pending.update(await take_over_approvals(transaction, {smb: ()}))
        return Outcome()

    await desk.act([smb], create)
    return pending[smb]


async def test_one_service_too_many_is_parked_and_the_list_stays(desk: CampaignDesk) -> None:
    full = [f"Service {number}" for number in range(PENDING_MOST - 1)]
    smb = await desk.add(services_approved_pending=json.dumps(full), services_activated=json.dumps(["Ads"]))
    last, over, known, activated = (approval(smb, name) for name in ("Last", "Over", "Service 1", "Ads"))
    outcome = await desk.apply(last, over, known, activated)
    assert [(one, error.error_class) for one, error in outcome.rejected] == [(over, "too_many_services")]
    assert outcome.applied == 3
    assert await desk.pending(smb) == [*full, "Last"]
    assert "Over" not in [service for _, _, service in await desk.ledger(smb)]
