"""`smb-crm trace`: one message's way through the system."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from services.cli.connections import open_database, run
from services.cli.errors import CommandFailed
from services.cli.output import AsJson, moment, progress, say, say_json

if TYPE_CHECKING:
    from services.trace import Sought, Trace
    from services.trace.found import Told
    from shared.runtime.settings import Settings

STEPS = 17


def trace(
    event: Annotated[str, typer.Argument(help="The CloudEvents id of an event, command, trigger or announcement.")],
    tenant: Annotated[UUID | None, typer.Option(help="Only messages of this tenant.")] = None,
    source: Annotated[str | None, typer.Option(help="Only messages of this CloudEvents source.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one message's way: where it stands in Kafka, what became of it, and what it led to.

    For an event: applied, duplicate or dead letter, the score before and after, and the announcements with their
    sequence numbers. Also finds commands, triggers and announcements. Searches all events, which takes a while in a
    large installation. Exit code 1 when nothing is found.
    """
    from services.trace import Sought
    from shared.runtime.settings import load_settings

    found = run(_trace(load_settings(), Sought(event, tenant, source)))
    if as_json:
        say_json({"event": event, **asdict(found)})
    else:
        _show(found)
    if not found.found:
        raise CommandFailed(
            f"nothing is known of {event!r}: it never arrived, its id or tenant is another, or its SMB was erased"
        )


async def _trace(settings: "Settings", sought: "Sought") -> "Trace":
    from services.trace import Tracer
    from shared.runtime.worker import read_policy
    from shared.schemas.topics import Topics

    tracer_policy = read_policy(settings)
    async with open_database(settings) as database:
        tracer = Tracer(database, Topics(settings.topic_prefix), tracer_policy, sought)
        with progress("searching", STEPS) as advance:
            return await tracer.follow(lambda what: advance(1, f"searching {what}"))


def _show(found: "Trace") -> None:
    for event in found.events:
        say(f"{event.type} {event.outcome}: {_place(event)}, of {event.source}")
        say(f"  {_whose(event)}; happened {moment(event.occurred_at)}, came {moment(event.received_at)}")
        if event.outcome == "waiting":
            say("  its tenant has no such SMB: it counts as soon as that is created")
        together = f", with {event.came_together - 1} more events of this SMB" if event.came_together > 1 else ""
        say(f"  score {event.score_before} before, {event.score_after} after{together}")
        _show_told(event.led_to)
    for entry in found.ledger:
        say(f"{entry.type} {entry.outcome} by campaign: {_place(entry)}, of {entry.source}")
        say(f"  {_whose(entry)}; came {moment(entry.received_at)}{f'; {entry.reason}' if entry.reason else ''}")
        _show_told(entry.led_to)
    for one in found.runs:
        say(f"{one.type} {one.outcome}: {_place(one)}, of {one.source}, scheduled for {moment(one.scheduled_for)}")
        say(f"  {one.shards_done} of {one.shards_total} shards, {one.smbs_seen} SMBs seen, {one.smbs_changed} changed")
    for copy in found.duplicates:
        differs = "its body differs" if copy.differs else "the same again"
        say(f"{copy.type} duplicate in group {copy.group}: {_place(copy)}, seen {moment(copy.seen_at)}; {differs}")
    for letter in found.dead_letters:
        say(f"dead letter {letter.letter_id} of {letter.service}: {_place(letter)}, parked {moment(letter.parked_at)}")
        say(f"  {letter.error_class}: {letter.reason}; replayed {moment(letter.replayed_at)}")
    _show_told(found.told)


def _show_told(told: "list[Told]") -> None:
    for one in told:
        state = "published" if one.state == "published" else "still waits in the outbox"
        because = f", because of {one.causation_id}" if one.causation_id else ""
        say(f"  told {one.type}, epoch {one.epoch}, sequence {one.sequence}, {state}{because}")


def _place(one: Any) -> str:  # noqa: ANN401  whatever has a place in Kafka
    return f"{one.topic}, partition {one.partition}, offset {one.offset}"


def _whose(one: Any) -> str:  # noqa: ANN401  whatever is about an SMB
    return f"tenant {one.tenant_id}, SMB {one.smb_id}"
