"""A command that somebody waits for: the same code as for messages; and the campaign history of an SMB."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.campaign.decisions import Cause, command_one
from services.campaign.history import TRANSITIONS_MOST, CampaignHistory, campaign_history
from services.campaign.rules import Cancel, Command, Decision, Pause, RefusalName, Resume, Schedule, Start, Status
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from tests.campaign.desk import NOW, CampaignDesk, command, moves

PAST_DAY_90 = NOW + timedelta(days=120)
TABLES = ("smb_heads", "smbs", "campaigns", "campaign_transitions", "campaign_inputs", "outgoing_messages")


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Database]:
    """The database as the API's role."""
    database = Database.create(database_url, role="smb_api")
    yield database
    await database.close()


@pytest.fixture
def ask(api: Database, desk: CampaignDesk) -> Any:  # noqa: ANN401  the function below
    """Command a campaign as a route does, which gives up its transaction when it is refused; here it is kept."""

    async def ask(smb: SmbKey, wanted: Command, now: datetime = NOW) -> tuple[Outcome, Decision]:
        decisions = []

        async def act(transaction: Transaction, _: datetime) -> Outcome:
            send_time, cause = desk.handler.send_time, Cause("request-1")
            decision, outcome = await command_one(transaction, smb, wanted, send_time, now, cause)
            decisions.append(decision)
            return outcome

        outcome = await transact(api.of(smb.tenant_id), desk.topics, [smb], act)
        return outcome, decisions[0]

    return ask


async def history_of(api: Database, smb: SmbKey, size: int = 200, after: int | None = None) -> CampaignHistory:
    async with api.of(smb.tenant_id).transaction() as transaction:
        return await campaign_history(transaction, smb, size, after=after)


async def test_every_command_does_what_its_message_does(ask: Any, desk: CampaignDesk) -> None:  # noqa: ANN401
    asked, told = await desk.add(timezone="America/New_York"), await desk.add(timezone="America/New_York")
    script = [
        (Start("signed up"), command("start", told, reason="signed up")),
        (Pause("on holiday"), command("pause", told, reason="on holiday")),
        (Resume(), command("resume", told)),
        (Cancel(), command("cancel", told)),
        (Schedule(date(2026, 7, 1)), command("schedule", told, start_date=date(2026, 7, 1))),
    ]
    for number, (wanted, message) in enumerate(script):
        now = NOW + timedelta(days=number)
        outcome, decision = await ask(asked, wanted, now)
        by_message = await desk.apply(message, now=now)
        assert moves(outcome) == moves(by_message)
        assert outcome.announcements[0].causation_id == "request-1"
        assert await desk.standing(asked) == await desk.standing(told)
        assert decision.status == (await desk.standing(asked))[0]
    assert await desk.history(asked) == await desk.history(told)
    assert await desk.differences(asked, told) == []
    # Its identity is the request's own affair: the ledger is for messages.
    assert await desk.ledger(asked) == []


async def test_a_refusal_names_state_and_move_and_stores_nothing(ask: Any, desk: CampaignDesk) -> None:  # noqa: ANN401
    smb = await desk.add()
    await desk.apply(command("start", smb))
    before = await everything(desk, smb)
    wrong, not_ahead = RefusalName.WRONG_STATUS, RefusalName.START_DATE_NOT_AHEAD
    running, completed = Status.RUNNING, Status.COMPLETED
    for wanted, now, name, present in (
        (Start(), NOW, wrong, running),
        (Resume(), NOW, wrong, running),
        (Schedule(date(2026, 7, 1)), NOW, wrong, running),
        # As of then the run is over, which nobody has written down yet.
        (Pause(), PAST_DAY_90, wrong, completed),
        (Cancel(), PAST_DAY_90, wrong, completed),
        (Schedule(date(2026, 6, 1)), PAST_DAY_90, not_ahead, completed),
    ):
        outcome, decision = await ask(smb, wanted, now)
        assert decision.refusal is not None
        assert (decision.refusal.name, decision.refusal.status) == (name, present)
        assert decision.refusal.reason.startswith(f"{wanted.action} is not possible from {present}")
        assert outcome.announcements == []
        assert await everything(desk, smb) == before


async def everything(desk: CampaignDesk, smb: SmbKey) -> list[list[Any]]:
    """All rows of a tenant, and which transaction wrote them."""
    return [
        await desk.fetch(f"SELECT xmin, * FROM {table} WHERE tenant_id = $1 ORDER BY ctid", smb.tenant_id)
        for table in TABLES
    ]


async def test_nobody_is_contacted_against_their_will_or_after_deletion(ask: Any, desk: CampaignDesk) -> None:  # noqa: ANN401
    silent, deleted = await desk.add(do_not_contact=True), await desk.add(deleted_at=datetime.now(UTC))
    for smb, name in ((silent, RefusalName.DO_NOT_CONTACT), (deleted, RefusalName.SMB_DELETED)):
        _, decision = await ask(smb, Start())
        assert decision.refusal is not None
        assert decision.refusal.name is name


async def test_an_unknown_an_erased_and_anothers_smb_are_unknown(ask: Any, desk: CampaignDesk) -> None:  # noqa: ANN401
    known = await desk.add()
    erased = SmbKey(known.tenant_id, uuid4())
    await desk.fetch("INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())", *erased)
    for smb in (SmbKey(known.tenant_id, uuid4()), erased, SmbKey(uuid4(), known.smb_id)):
        with pytest.raises(KeyError):
            await ask(smb, Start())
    assert await desk.standing(known) == ("draft", None, None)


async def test_the_history_has_runs_newest_first_with_what_was_refused(
    ask: Any,  # noqa: ANN401
    api: Database,
    desk: CampaignDesk,
) -> None:
    smb = await desk.add()
    await desk.apply(command("pause", smb, id_="too-early"))
    await ask(smb, Start("signed up"))
    refused = command("resume", smb, id_="not-paused")
    await desk.apply(refused)
    await ask(smb, Cancel())
    await ask(smb, Schedule(date(2026, 7, 1)))
    found = await history_of(api, smb)
    newest, oldest = found.page.entries
    assert (newest.status, newest.start_date, newest.day, newest.ended_at) == (
        "scheduled",
        date(2026, 7, 1),
        None,
        None,
    )
    assert (oldest.status, oldest.day, oldest.day_one, oldest.ended_at) == ("cancelled", 1, date(2026, 6, 2), NOW)
    assert (newest.timezone, newest.send_time.hour, newest.created_at) == ("UTC", 9, NOW)
    assert [(one.action, one.outcome, one.old_status, one.new_status) for one in oldest.transitions.shown] == [
        ("start", "applied", "draft", "running"),
        ("resume", "refused", "running", "running"),
        ("cancel", "applied", "running", "cancelled"),
    ]
    started, not_resumed, _ = oldest.transitions.shown
    assert (started.reason, started.refusal, started.caused_by) == ("signed up", None, "request-1")
    assert (not_resumed.refusal, not_resumed.reason, not_resumed.caused_by, not_resumed.day) == (
        "wrong_status",
        "resume is not possible from running",
        "not-paused",
        1,
    )
    assert [one.caused_by for one in found.before_first_run.shown] == ["too-early"]
    assert found.page.last is None


async def test_the_history_comes_in_pages_and_only_to_its_tenant(api: Database, desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("cancel", smb))
    for _ in range(5):
        await desk.apply(command("start", smb), command("cancel", smb))
    seen: list[int] = []
    found = await history_of(api, smb, 2)
    while found.page.last is not None:
        assert found.before_first_run.shown == ()
        seen += [run.number for run in found.page.entries]
        # A run that begins meanwhile belongs on a page that was shown.
        await desk.apply(command("start", smb), command("cancel", smb))
        found = await history_of(api, smb, 2, found.page.last)
    seen += [run.number for run in found.page.entries]
    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)
    assert len(found.before_first_run.shown) == 1
    assert (await history_of(api, SmbKey(uuid4(), smb.smb_id))).page.entries == []
    with pytest.raises(ValueError, match="1 to 200"):
        await history_of(api, smb, 0)


async def test_of_a_run_with_many_refusals_the_newest_are_shown(api: Database, desk: CampaignDesk) -> None:
    smb = await desk.add()
    await desk.apply(command("start", smb))
    await desk.apply(*(command("start", smb, id_=f"again-{number}") for number in range(TRANSITIONS_MOST + 7)))
    (run,) = (await history_of(api, smb)).page.entries
    assert len(run.transitions.shown) == TRANSITIONS_MOST
    assert run.transitions.earlier == 8  # the start itself, and seven
    assert run.transitions.shown[-1].caused_by == f"again-{TRANSITIONS_MOST + 6}"
