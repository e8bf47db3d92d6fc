"""Commands that need no worker: help, settings, migrate, topics, policy; and one line for each expected trouble."""

from pathlib import Path

import pytest

from tests.commands import smb_crm, succeeds
from tests.conftest import with_database
from tests.installation import Installation, free_port

NOWHERE = {"SMB_DATABASE_URL": "postgresql://user:pencil@127.0.0.1:1/smb", "SMB_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
COMMANDS = (
    "demo",
    "settings",
    "migrate",
    "topics",
    "policy",
    "schemas",
    "worker",
    "trigger",
    "status",
    "verify",
    "trace",
    "dead-letters",
    "positions",
    "after-restore",
)


async def test_the_help_names_every_command_and_how_commands_end() -> None:
    ran = await succeeds({}, "--help")
    assert all(f" {command} " in ran.out for command in COMMANDS)
    assert "Exit codes" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_explains_itself(command: str) -> None:
    ran = await succeeds({}, command, "--help")
    assert "Usage: smb-crm" in ran.out


async def test_schemas_are_printed_by_type() -> None:
    ran = await succeeds({}, "schemas", "EmailOpened")
    assert ran.document["EmailOpened"]["properties"]["type"]["const"] == "EmailOpened"
    assert "no message type 'Nonsense'" in (await smb_crm({}, "schemas", "Nonsense")).failure


async def test_the_version_is_the_distributions() -> None:
    ran = await succeeds({}, "--version")
    assert ran.out.startswith("smb-crm ")


async def test_wrong_usage_ends_with_2() -> None:
    for arguments in (
        ("trigger", "Nonsense"),
        ("positions", "rewind", "--to", "yesterday"),
        ("dead-letters", "replay"),
    ):
        ran = await smb_crm(NOWHERE, *arguments)
        assert (ran.code, ran.out) == (2, "")


async def test_a_trigger_too_far_ahead_is_wrong_usage() -> None:
    ran = await smb_crm(NOWHERE, "trigger", "EvaluateTierTransitions", "--scheduled-for", "2999-01-01T00:00:00Z")
    assert ran.code == 2
    assert "5 minutes ahead" in ran.err


async def test_missing_settings_are_named_in_one_line() -> None:
    for arguments in (("status",), ("migrate",), ("worker", "engagement"), ("verify",)):
        failure = (await smb_crm({}, *arguments)).failure
        assert "SMB_DATABASE_URL: is missing" in failure
        assert "SMB_KAFKA_BOOTSTRAP_SERVERS: is missing" in failure


async def test_a_database_that_is_down_is_one_line() -> None:
    for arguments in (("status",), ("migrate",), ("verify",), ("trace", "x"), ("dead-letters", "list")):
        failure = (await smb_crm(NOWHERE, *arguments)).failure
        assert "the database cannot be reached" in failure
        assert "pencil" not in failure


async def test_a_broker_that_is_down_is_one_line(installation: Installation) -> None:
    environment = installation.environment | {"SMB_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    for arguments in (("status",), ("topics",), ("positions", "list"), ("trigger", "AdvanceManifestDestinyDay")):
        failure = (await smb_crm(environment, *arguments)).failure
        assert "Kafka cannot be reached" in failure
        assert "SMB_KAFKA_BOOTSTRAP_SERVERS" in failure


async def test_a_database_without_schema_is_told_to_migrate_and_migrate_works_twice(
    installation: Installation, unmigrated_url: str
) -> None:
    environment = installation.environment | {"SMB_DATABASE_URL": unmigrated_url}
    assert "smb-crm migrate" in (await smb_crm(environment, "status")).failure
    assert "newest schema" in (await succeeds(environment, "migrate")).out
    assert "newest schema" in (await succeeds(environment, "migrate")).out
    await succeeds(environment, "verify")


async def test_a_database_that_does_not_exist_is_one_line(installation: Installation) -> None:
    url = with_database(installation.environment["SMB_DATABASE_URL"], "not_there")
    failure = (await smb_crm(installation.environment | {"SMB_DATABASE_URL": url}, "status")).failure
    assert "the database does not exist" in failure


async def test_missing_topics_are_named_and_created_once(installation: Installation, topic_prefix: str) -> None:
    environment = installation.environment | {"SMB_TOPIC_PREFIX": f"{topic_prefix}new."}
    assert "run `smb-crm topics`" in (await smb_crm(environment, "status")).failure
    assert "run `smb-crm topics`" in (await smb_crm(environment, "trigger", "AdvanceManifestDestinyDay")).failure
    first = (await succeeds(environment, "topics", "--json")).document
    second = (await succeeds(environment, "topics", "--json")).document
    assert first["existing"] == second["created"] == []
    assert first["created"] == second["existing"]
    assert f"{topic_prefix}new.smb.events" in first["created"]


async def test_another_partition_count_is_refused(installation: Installation) -> None:
    environment = installation.environment | {"SMB_TOPIC_PARTITIONS": "5"}
    assert "has 4 partitions and SMB_TOPIC_PARTITIONS is 5" in (await smb_crm(environment, "topics")).failure


async def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("crayon\n")
    environment = NOWHERE | {
        "SMB_DATABASE_URL": "postgresql://user:pencil@127.0.0.1:1/smb?sslpassword=marker",
        "SMB_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SMB_KAFKA_SASL_MECHANISM": "PLAIN",
        "SMB_KAFKA_SASL_USERNAME": "worker",
        "SMB_KAFKA_SASL_PASSWORD_FILE": str(secret),
    }
    for arguments in (("settings",), ("settings", "--json")):
        out = (await succeeds(environment, *arguments)).out
        assert not any(word in out for word in ("pencil", "crayon", "marker"))
    found = {one["name"]: one for one in (await succeeds(environment, "settings", "--json")).document}
    assert found["SMB_DATABASE_URL"]["value"] == "postgresql://user:***@127.0.0.1:1/smb?sslpassword=***"
    assert found["SMB_KAFKA_SASL_PASSWORD"]["comes_from"] == "file"
    assert found["SMB_OPS_PORT"]["value"] == found["SMB_OPS_PORT"]["default"] == "8001"
    assert all(one["meaning"] for one in found.values())


async def test_settings_show_what_is_missing_and_fail() -> None:
    ran = await smb_crm({"SMB_DATABASE_URL": "mysql://user:pencil@host/x"}, "settings", "--json")
    assert "SMB_KAFKA_BOOTSTRAP_SERVERS: is missing" in ran.failure
    assert "SMB_DATABASE_URL: must start with postgresql://" in ran.failure
    assert "pencil" not in ran.out + ran.err
    found = {one["name"]: one["value"] for one in ran.document}
    assert found["SMB_KAFKA_BOOTSTRAP_SERVERS"] == "(missing)"


async def test_the_policy_is_shown_with_its_version(tmp_path: Path) -> None:
    document = (await succeeds(NOWHERE, "policy", "show", "--json")).document
    assert document["version"] in (await succeeds(NOWHERE, "policy", "show")).out
    assert document["tiers"][0]["min_score"] == 80
    broken = tmp_path / "policy.toml"
    broken.write_text("score = 1")
    failure = (await smb_crm(NOWHERE | {"SMB_POLICY_FILE": str(broken)}, "policy", "show")).failure
    assert "SMB_POLICY_FILE" in failure
