"""Topics, their types, and who answers for what can't be applied."""

import pytest

from shared.schemas.bad_message import BadMessage
from shared.schemas.catalog import JOB_SHARDS, SCHEDULE_TRIGGERS, TYPES
from shared.schemas.topics import (
    JOB_OWNERS,
    SCHEDULE_TOPIC,
    SERVICES,
    TOPICS,
    Retention,
    Topics,
    accepted_types,
    parks,
)

BROKEN = BadMessage("not_json", "body: broken")


def test_the_topics_are_those_of_the_contract() -> None:
    assert set(TOPICS) == {
        "email.opened", "email.clicked", "rvm.delivered", "content.viewed", "content.completed", "callback.received",
        "approval.submitted", "smb.campaign-commands", "smb.schedule", "smb.job-shards", "smb.events",
    }  # fmt: skip


def test_every_type_travels_on_exactly_one_topic() -> None:
    travelling = [name for topic in TOPICS.values() for name in topic.types]

    assert sorted(travelling) == sorted(TYPES)


def test_what_is_read_again_after_a_restore_is_kept_longer_than_what_only_commands() -> None:
    kept = {topic.name for topic in TOPICS.values() if topic.retention is Retention.COMMANDS}

    assert kept == {"smb.campaign-commands", "smb.schedule", "smb.job-shards"}


@pytest.mark.parametrize(
    ("topic", "claimed_type", "service"),
    [
        ("email.opened", "EmailClicked", "engagement"),
        ("approval.submitted", None, "engagement"),
        ("smb.campaign-commands", "Nothing", "campaign"),
        ("smb.events", "SMBUpdated", "tier"),
        ("smb.schedule", "EvaluateTierTransitions", "tier"),
        ("smb.schedule", "AdvanceManifestDestinyDay", "campaign"),
        ("smb.schedule", "CleanupDeletedSMBs", "records"),
        ("smb.schedule", "EmailOpened", "records"),
        ("smb.schedule", None, "records"),
        ("smb.job-shards", "EvaluateTierTransitionsShard", "tier"),
        ("smb.job-shards", None, "records"),
    ],
)
def test_one_service_parks(topic: str, claimed_type: str | None, service: str) -> None:
    assert [name for name in SERVICES if parks(name, topic, BROKEN, claimed_type)] == [service]


def test_every_trigger_and_every_shard_has_one_service_that_takes_it() -> None:
    assert set(JOB_OWNERS) == set(SCHEDULE_TRIGGERS)
    for topic, types in ((SCHEDULE_TOPIC, SCHEDULE_TRIGGERS), ("smb.job-shards", JOB_SHARDS)):
        taken = [name for service in SERVICES for name in accepted_types(service, topic)]
        assert sorted(taken) == sorted(types)


def test_campaign_takes_approvals_and_no_other_event() -> None:
    assert accepted_types("campaign", "approval.submitted") == {"ApprovalSubmitted"}
    assert accepted_types("campaign", "email.opened") == frozenset()


def test_names_carry_the_prefix_of_the_installation() -> None:
    topics = Topics("blue.")

    assert topics.full_name("smb.events") == "blue.smb.events"
    assert topics.short_name("blue.smb.events") == "smb.events"
    assert (topics.group("tier"), topics.shards_group("tier")) == ("blue.tier", "blue.tier-shards")


@pytest.mark.parametrize("name", ["smb.events", "green.smb.events", "blue.other"])
def test_a_topic_of_another_installation_has_no_short_name(name: str) -> None:
    with pytest.raises(KeyError):
        Topics("blue.").short_name(name)
