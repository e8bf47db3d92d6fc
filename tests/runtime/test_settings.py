"""Settings: a wrong one is named in one line, a secret may come from a file and is never shown."""

from pathlib import Path

import pytest

from shared.runtime.errors import WrongSettings
from shared.runtime.settings import load_settings

GOOD = {"SMB_DATABASE_URL": "postgresql://user:hunter2@host/name", "SMB_KAFKA_BOOTSTRAP_SERVERS": "host:9092"}
WRONG = {
    "SMB_DATABASE_URL": "mysql://host/name",
    "SMB_KAFKA_BOOTSTRAP_SERVERS": "",
    "SMB_KAFKA_SECURITY_PROTOCOL": "TLS",
    "SMB_KAFKA_SASL_MECHANISM": "GSSAPI",
    "SMB_KAFKA_CA_FILE": "/no/such/file",
    "SMB_KAFKA_SESSION_TIMEOUT_SECONDS": "5",
    "SMB_TOPIC_PREFIX": "with space",
    "SMB_TOPIC_PARTITIONS": "0",
    "SMB_TOPIC_REPLICATION": "many",
    "SMB_TOPIC_RETENTION_DAYS": "0",
    "SMB_COMMAND_RETENTION_DAYS": "35",
    "SMB_HTTP_PORT": "65536",
    "SMB_OPS_PORT": "-1",
    "SMB_BATCH_MAX_RECORDS": "20001",
    "SMB_FETCH_MAX_BYTES": "1024",
    "SMB_SHARD_MAX_SMBS": "0",
    "SMB_SHUTDOWN_SECONDS": "0",
    "SMB_POLICY_FILE": "/no/such/policy.toml",
    "SMB_LOG_FORMAT": "xml",
    "SMB_LOG_LEVEL": "debug",
}
LOGIN = {
    "SMB_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "SMB_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "SMB_KAFKA_SASL_USERNAME": "worker",
    "SMB_KAFKA_SASL_PASSWORD": "swordfish",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Right settings, for a test to spoil."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named_in_one_line(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, WRONG[name])
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hun/ter2@host/name",
        "postgresql://user:hunter2@host:abc/name",
        "postgresql://user:hunter2@[::1/name",
        "postgresql://user:hunter2@host:99999/name",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_quoted(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("SMB_DATABASE_URL", url)
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    assert str(caught.value).startswith("SMB_DATABASE_URL: is no address")
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize("servers", [":::", "host:abc", "host:99999", "host", "host:9092,"])
def test_brokers_are_hosts_with_ports(environment: pytest.MonkeyPatch, servers: str) -> None:
    environment.setenv("SMB_KAFKA_BOOTSTRAP_SERVERS", servers)
    with pytest.raises(WrongSettings, match="SMB_KAFKA_BOOTSTRAP_SERVERS: "):
        load_settings()


def test_all_wrong_and_missing_settings_are_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SMB_DATABASE_URL")
    environment.setenv("SMB_OPS_PORT", "http")
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    assert "SMB_DATABASE_URL: is missing" in str(caught.value)
    assert "SMB_OPS_PORT: " in str(caught.value)


@pytest.mark.parametrize("missing", ["SMB_KAFKA_SASL_MECHANISM", "SMB_KAFKA_SASL_USERNAME", "SMB_KAFKA_SASL_PASSWORD"])
def test_half_a_login_is_named(environment: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in LOGIN.items():
        environment.setenv(name, value)
    environment.delenv(missing)
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    assert str(caught.value) == f"{missing}: is missing, and SMB_KAFKA_SECURITY_PROTOCOL is SASL_SSL"


@pytest.mark.parametrize("name", ["SMB_KAFKA_SASL_MECHANISM", "SMB_KAFKA_SASL_USERNAME", "SMB_KAFKA_SASL_PASSWORD"])
@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_login_that_would_not_be_used_is_named(environment: pytest.MonkeyPatch, name: str, protocol: str) -> None:
    environment.setenv("SMB_KAFKA_SECURITY_PROTOCOL", protocol)
    environment.setenv(name, LOGIN[name])
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    told = f"{name}: is set, and SMB_KAFKA_SECURITY_PROTOCOL is {protocol}, which takes no login"
    assert str(caught.value) == told
    assert "swordfish" not in str(caught.value)


def test_a_wrong_url_is_not_quoted(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMB_DATABASE_URL", "mysql://user:hunter2@host/name")
    with pytest.raises(WrongSettings) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        environment.setenv(name, value)
    shown = f"{load_settings()} {load_settings()!r} {load_settings().model_dump_json()}"
    assert "hunter2" not in shown
    assert "swordfish" not in shown


def test_a_setting_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://from:file@host/name\n")
    environment.delenv("SMB_DATABASE_URL")
    environment.setenv("SMB_DATABASE_URL_FILE", str(file))
    assert load_settings().database_url.get_secret_value() == "postgresql://from:file@host/name"


def test_the_environment_goes_before_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_text("file:9092")
    environment.setenv("SMB_KAFKA_BOOTSTRAP_SERVERS_FILE", str(file))
    assert load_settings().kafka_bootstrap_servers == "host:9092"


def test_a_file_that_cannot_be_read_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMB_KAFKA_SASL_PASSWORD_FILE", "/no/such/secret")
    with pytest.raises(WrongSettings, match=r"^SMB_KAFKA_SASL_PASSWORD_FILE: cannot read /no/such/secret"):
        load_settings()
