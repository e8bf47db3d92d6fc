"""The end of `--once`: everything read back, counted and verified."""

import asyncio
from collections.abc import Sequence

from services.demo import store
from services.demo.errors import DemoFailed
from services.demo.reader import AnnouncementReader
from services.demo.store import Count, Glance
from services.demo.story import Story
from services.demo.summary import Fate, Summary
from services.verify import verify
from shared.schemas.policy import Policy
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC, ENGAGEMENT_TOPICS, SCHEDULE_TOPIC, Topics

READ_BACK_SECONDS = 60.0
POLL_SECONDS = 0.1


async def to_the_last_announcement(story: Story, reader: AnnouncementReader) -> None:
    """Tell the story, and wait until the reader has seen all that it led to. Raises DemoFailed."""
    await story.once()
    topics = Topics(story.settings.topic_prefix)
    stored = (await store.count(story.database, topics)).announcements
    try:
        async with asyncio.timeout(READ_BACK_SECONDS):
            while reader.types.total() < stored:  # noqa: ASYNC110  it reads a topic, which tells nobody
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoFailed(
            f"{stored} announcements are stored, but after {READ_BACK_SECONDS:.0f} s only {reader.types.total()} stand "
            "on smb.events"
        ) from None


async def summarise(story: Story, reader: AnnouncementReader, policy: Policy) -> Summary:
    """Count everything and verify every SMB, at rest."""
    topics = Topics(story.settings.topic_prefix)
    found = await store.glance(story.database, topics)
    counted = await store.count(story.database, topics)
    # Nothing keeps these: only the worker counts them. (The campaign worker counts approvals once more.)
    erased = await story.workers.counter("engagement", "smb_erased_inputs_total")
    classes: dict[str, int] = {}
    for (_, error_class), letters in found.dead_letters.items():
        classes[error_class] = classes.get(error_class, 0) + letters
    return Summary(
        policy=policy,
        population=story.population,
        made=story.publisher.kinds_in,
        fates=_fates(story, found, counted, topics, erased),
        dead_letter_classes=classes,
        events_waiting=counted.events_waiting,
        smbs_waited_for=counted.smbs_waited_for,
        tiers=found.tiers,
        campaigns=found.campaigns,
        announcements_stored=counted.announcements,
        announcement_types=reader.types,
        copies=reader.copies,
        imported={end: story.office.imported[end] for end in ("created", "updated", "unchanged", "refused")},
        addresses=story.addresses(),
        gaps=reader.gaps,
        verification=await verify(story.database, policy),
    )


def _fates(story: Story, found: Glance, counted: Count, topics: Topics, erased: int) -> Sequence[Fate]:
    events, commands, triggers = list(ENGAGEMENT_TOPICS.values()), [CAMPAIGN_COMMANDS_TOPIC], [SCHEDULE_TOPIC]

    def repeated(group: str, names: Sequence[str]) -> int:
        return sum(found.repeated.get((group, name), 0) for name in names)

    def parked(names: Sequence[str]) -> int:
        return sum(letters for (topic, _), letters in found.dead_letters.items() if topic in names)

    return (
        Fate(
            "events",
            taken_in=sum(story.publisher.topics_in[name] for name in events),
            applied=counted.events_applied,
            repeated=repeated(topics.group("engagement"), events),
            refused=0,
            erased=erased,
            dead_letters=parked(events),
        ),
        Fate(
            "commands",
            taken_in=story.publisher.topics_in[CAMPAIGN_COMMANDS_TOPIC],
            applied=counted.commands_applied,
            repeated=repeated(topics.group("campaign"), commands),
            refused=counted.commands_refused,
            erased=0,
            dead_letters=parked(commands),
        ),
        Fate(
            "triggers",
            taken_in=story.triggers_sent,
            applied=counted.triggers_applied,
            repeated=0,
            refused=0,
            erased=0,
            dead_letters=parked(triggers),
        ),
    )
