"""What the view and the summary read of the database: every SQL statement of the demo."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from shared.runtime.database import Database
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, ENGAGEMENT_TOPICS, Topics

TIERS = text("SELECT engagement_tier, count(*) AS smbs FROM smb_overview GROUP BY engagement_tier")
CAMPAIGNS = text("SELECT campaign_status, count(*) AS smbs FROM smb_overview GROUP BY campaign_status")
DEAD_LETTERS = text("SELECT topic, error_class, count(*) AS letters FROM dead_letters GROUP BY topic, error_class")
REPEATED = text("SELECT consumer_group, topic, count(*) AS copies FROM repeated_inputs GROUP BY consumer_group, topic")
# Cheaper than counting events each second: every record read is in here.
READ = text(
    """
    SELECT coalesce(sum(next_offset), 0) FROM consumer_progress
    WHERE consumer_group = :consumer_group AND topic = ANY(CAST(:topics AS text[]))
    """,
)
APPLIED = text(
    """
    SELECT (SELECT count(*) FROM engagement_events) AS events,
        (SELECT count(*) FROM campaign_inputs WHERE sort = 'command' AND outcome = 'applied') AS commands,
        (SELECT count(*) FROM campaign_inputs WHERE sort = 'command' AND outcome = 'refused') AS commands_refused,
        (SELECT count(*) FROM job_runs) AS triggers
    """,
)
WAITING = text(
    """
    SELECT count(*) AS events, count(DISTINCT (tenant_id, smb_id)) AS smbs FROM engagement_events AS event
    WHERE NOT EXISTS (SELECT FROM smbs WHERE smbs.tenant_id = event.tenant_id AND smbs.id = event.smb_id)
    """,
)
TOLD = text("SELECT count(*) FROM outgoing_messages WHERE topic = :topic")


@dataclass(frozen=True, slots=True)
class Glance:
    """What the view shows of the state. Topics are named without prefix; groups with it."""

    records_read: int
    tiers: Mapping[int, int]
    campaigns: Mapping[str, int]
    dead_letters: Mapping[tuple[str, str], int]
    repeated: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Count:
    """What the summary counts beside a glance."""

    events_applied: int
    commands_applied: int
    commands_refused: int
    triggers_applied: int
    events_waiting: int
    smbs_waited_for: int
    announcements: int


async def glance(database: Database, topics: Topics) -> Glance:
    """Look once; cheap enough for every second."""
    event_topics = [topics.full_name(topic) for topic in ENGAGEMENT_TOPICS.values()]
    async with database.transaction() as transaction:
        read = await transaction.execute(READ, {"consumer_group": topics.group("engagement"), "topics": event_topics})
        tiers = await transaction.execute(TIERS)
        campaigns = await transaction.execute(CAMPAIGNS)
        letters = await transaction.execute(DEAD_LETTERS)
        repeated = await transaction.execute(REPEATED)
        return Glance(
            records_read=int(read.scalar_one()),
            tiers={row.engagement_tier: row.smbs for row in tiers.all()},
            campaigns={row.campaign_status: row.smbs for row in campaigns.all()},
            dead_letters=Counter(
                {(topics.short_name(row.topic), row.error_class): row.letters for row in letters.all()}
            ),
            repeated=Counter(
                {(row.consumer_group, topics.short_name(row.topic)): row.copies for row in repeated.all()}
            ),
        )


async def count(database: Database, topics: Topics) -> Count:
    """Count everything, once at the end."""
    async with database.transaction() as transaction:
        applied = (await transaction.execute(APPLIED)).one()
        waiting = (await transaction.execute(WAITING)).one()
        told = await transaction.execute(TOLD, {"topic": topics.full_name(ANNOUNCEMENTS_TOPIC)})
        return Count(
            events_applied=applied.events,
            commands_applied=applied.commands,
            commands_refused=applied.commands_refused,
            triggers_applied=applied.triggers,
            events_waiting=waiting.events,
            smbs_waited_for=waiting.smbs,
            announcements=told.scalar_one(),
        )
