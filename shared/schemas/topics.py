"""Topics: their names, what travels on each, and which service answers for what can't be applied.

Names are written here without prefix; `Topics` puts the installation's prefix before every topic and group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from shared.schemas.bad_message import BadMessage
from shared.schemas.catalog import ANNOUNCEMENTS, CAMPAIGN_COMMANDS, ENGAGEMENT_EVENTS, JOB_SHARDS, SCHEDULE_TRIGGERS

Service = Literal["engagement", "tier", "campaign", "records"]
SERVICES: tuple[Service, ...] = ("engagement", "tier", "campaign", "records")

CAMPAIGN_COMMANDS_TOPIC = "smb.campaign-commands"
SCHEDULE_TOPIC = "smb.schedule"
JOB_SHARDS_TOPIC = "smb.job-shards"
ANNOUNCEMENTS_TOPIC = "smb.events"

UNKNOWN_TRIGGER_OWNER: Service = "records"
"""Who parks what names no known trigger or shard."""

MESSAGE_MAX_BYTES = 2 * 1_048_576
"""Twice the longest body that is applied, so that one that is too long can still be parked with its bytes."""

INPUT_MAX_AGE = timedelta(days=35)
"""Commands and triggers older than this count as repeated: their identity may have been forgotten."""


class Retention(StrEnum):
    """How long a topic keeps its messages; the installation says how long each class lasts."""

    EVENTS = "events"
    """Longer than the oldest backup that would be restored: it is read again from there."""
    COMMANDS = "commands"
    """Less than `INPUT_MAX_AGE`, so that nothing still readable counts as repeated by age."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name without prefix, the types that travel on it, how long it keeps them."""

    name: str
    types: frozenset[str]
    retention: Retention


ENGAGEMENT_TOPICS = MappingProxyType(
    {
        "EmailOpened": "email.opened",
        "RVMDelivered": "rvm.delivered",
        "EmailClicked": "email.clicked",
        "CallbackReceived": "callback.received",
        "ContentViewed": "content.viewed",
        "ContentCompleted": "content.completed",
        "ApprovalSubmitted": "approval.submitted",
    }
)
"""The topic of each event of the other modules: one type, one topic."""

TOPICS = MappingProxyType(
    {
        topic.name: topic
        for topic in (
            *(Topic(ENGAGEMENT_TOPICS[name], frozenset({name}), Retention.EVENTS) for name in ENGAGEMENT_EVENTS),
            Topic(CAMPAIGN_COMMANDS_TOPIC, frozenset(CAMPAIGN_COMMANDS), Retention.COMMANDS),
            Topic(SCHEDULE_TOPIC, frozenset(SCHEDULE_TRIGGERS), Retention.COMMANDS),
            Topic(JOB_SHARDS_TOPIC, frozenset(JOB_SHARDS), Retention.COMMANDS),
            Topic(ANNOUNCEMENTS_TOPIC, frozenset(ANNOUNCEMENTS), Retention.EVENTS),
        )
    }
)
"""Every topic by its name without prefix."""

_JOB_OWNERS: dict[str, Service] = {
    "AdvanceManifestDestinyDay": "campaign",
    "RecalculateEngagementScores": "engagement",
    "EvaluateTierTransitions": "tier",
    "CleanupDeletedSMBs": "records",
    "RecalculateDataQuality": "records",
}
JOB_OWNERS = MappingProxyType(_JOB_OWNERS)
"""The service that runs each job, by its trigger's name."""

_TYPE_OWNERS: dict[str, Service] = _JOB_OWNERS | {f"{job}Shard": owner for job, owner in _JOB_OWNERS.items()}

_TOPIC_OWNERS: dict[str, Service] = {
    **dict.fromkeys(ENGAGEMENT_TOPICS.values(), "engagement"),
    CAMPAIGN_COMMANDS_TOPIC: "campaign",
    ANNOUNCEMENTS_TOPIC: "tier",
}

_ACCEPTED: dict[tuple[Service, str], frozenset[str]] = {
    **{("engagement", topic): TOPICS[topic].types for topic in ENGAGEMENT_TOPICS.values()},
    ("campaign", "approval.submitted"): TOPICS["approval.submitted"].types,
    ("campaign", CAMPAIGN_COMMANDS_TOPIC): TOPICS[CAMPAIGN_COMMANDS_TOPIC].types,
    # The whole topic, so that a broken message of any type is found by the one who parks it.
    ("tier", ANNOUNCEMENTS_TOPIC): TOPICS[ANNOUNCEMENTS_TOPIC].types,
    **{
        (service, topic): frozenset(name for name in TOPICS[topic].types if _TYPE_OWNERS[name] == service)
        for service in SERVICES
        for topic in (SCHEDULE_TOPIC, JOB_SHARDS_TOPIC)
    },
}


def accepted_types(service: Service, topic: str) -> frozenset[str]:
    """Return the types that a service decodes on a topic (named without prefix); none where it reads nothing."""
    return _ACCEPTED.get((service, topic), frozenset())


def owner(topic: str, claimed_type: str | None) -> Service:
    """Return the one service that parks what can't be applied on a topic (named without prefix).

    On the topics that several services share, the type that the message claims decides.
    """
    if topic in _TOPIC_OWNERS:
        return _TOPIC_OWNERS[topic]
    if claimed_type in TOPICS[topic].types:
        return _TYPE_OWNERS[claimed_type]
    return UNKNOWN_TRIGGER_OWNER


def parks(service: Service, topic: str, error: BadMessage, claimed_type: str | None = None) -> bool:
    """Tell whether a service turns a bad message of a topic (named without prefix) into a dead letter.

    For each record exactly one service answers True; the others pass over it. `claimed_type` is the error's own
    unless another is given.
    """
    return owner(topic, claimed_type or error.claimed_type) == service


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic and group names of one installation, which all begin with its prefix (may be empty)."""

    prefix: str = ""

    def full_name(self, topic: str) -> str:
        """Return the name in Kafka of a topic named without prefix. Raises KeyError for a topic that is not ours."""
        return self.prefix + TOPICS[topic].name

    def short_name(self, full_name: str) -> str:
        """Return a topic's name without prefix. Raises KeyError when it is not a topic of this installation."""
        short = full_name.removeprefix(self.prefix) if full_name.startswith(self.prefix) else ""
        return TOPICS[short].name

    def inputs_of(self, service: Service) -> list[str]:
        """Return the full names of the topics that a service's group reads, its job shards aside."""
        return [
            self.full_name(topic) for topic in TOPICS if topic != JOB_SHARDS_TOPIC and _ACCEPTED.get((service, topic))
        ]

    def groups(self, services: Sequence[Service] = SERVICES) -> dict[str, list[str]]:
        """Return the consumer groups of these services, with the full names of the topics that each reads."""
        shards = [self.full_name(JOB_SHARDS_TOPIC)]
        return {
            **{self.group(service): self.inputs_of(service) for service in services},
            **{self.shards_group(service): shards for service in services},
        }

    def group(self, service: Service) -> str:
        """Return the consumer group of a service."""
        return f"{self.prefix}{service}"

    def shards_group(self, service: Service) -> str:
        """Return the consumer group in which a service reads job shards."""
        return f"{self.prefix}{service}-shards"
