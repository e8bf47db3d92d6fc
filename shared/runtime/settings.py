"""Every setting: its environment variable (prefix `SMB_`), meaning and default. A wrong one is named, not guessed."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.runtime.errors import WrongSettings

PREFIX = "SMB_"
HIGHEST_PORT = 65_535


class Settings(BaseSettings):
    """What a process of smb-crm is told by its environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: Annotated[SecretStr, Field(description="PostgreSQL, as postgresql://user:password@host:port/name")]
    kafka_bootstrap_servers: Annotated[str, Field(description="Kafka brokers, as host:port,host:port", min_length=3)]
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(description="How to talk to Kafka")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, Field(description="SASL mechanism, with SASL_…")
    ] = None
    kafka_sasl_username: Annotated[str | None, Field(description="SASL user, with SASL_…")] = None
    kafka_sasl_password: Annotated[SecretStr | None, Field(description="SASL password, with SASL_…")] = None
    kafka_ca_file: Annotated[Path | None, Field(description="CA certificates in PEM, with …SSL")] = None
    kafka_session_timeout_seconds: Annotated[
        int, Field(description="After how long without a heartbeat a worker's partitions go to another", ge=6, le=300)
    ] = 10
    topic_prefix: Annotated[
        str, Field(description="Put before every topic and group name", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    ] = ""
    topic_partitions: Annotated[
        int, Field(description="Partitions of each new topic; fixed for ever, so plan for growth", ge=1, le=1000)
    ] = 24
    topic_replication: Annotated[int, Field(description="Copies of each new topic's partitions", ge=1, le=9)] = 3
    topic_retention_days: Annotated[
        int, Field(description="Days that Kafka keeps events; more than the oldest backup to restore", ge=1, le=3650)
    ] = 30
    command_retention_days: Annotated[
        int,
        Field(description="Days that Kafka keeps commands and triggers; less than the 35 of their ledger", ge=1, le=34),
    ] = 30
    http_host: Annotated[str, Field(description="Address that the HTTP servers listen on")] = "127.0.0.1"
    http_port: Annotated[int, Field(description="Port of the API and the console", ge=0, le=65535)] = 8000
    ops_port: Annotated[
        int, Field(description="Port of a worker's /livez, /readyz, /metrics and /docs", ge=0, le=65535)
    ] = 8001
    http_rate_limit: Annotated[
        str,
        Field(
            description="Requests of one credential, as 600/minute", pattern=r"^[1-9][0-9]{0,6}/(second|minute|hour)$"
        ),
    ] = "600/minute"
    http_body_max_bytes: Annotated[
        int, Field(description="Longest body of a request, imports aside", ge=1024, le=64 * 1024 * 1024)
    ] = 1024 * 1024
    http_request_seconds: Annotated[
        int, Field(description="Longest a request may take, imports aside", ge=1, le=600)
    ] = 30
    import_max_bytes: Annotated[int, Field(description="Largest file of an import", ge=1024)] = 2 * 1024**3
    jwt_issuer: Annotated[str, Field(description="Who issues the API's tokens (claim iss)", min_length=1)] = "smb-crm"
    jwt_audience: Annotated[str, Field(description="Whom the tokens are for (claim aud)", min_length=1)] = "smb-crm"
    jwt_key: Annotated[
        SecretStr | None, Field(description="The API: shared key of tokens signed with HS256", min_length=32)
    ] = None
    jwt_jwks_file: Annotated[
        Path | None, Field(description="The API: public keys of your identity provider, as a JSON Web Key Set")
    ] = None
    batch_max_records: Annotated[int, Field(description="Most records in one transaction", ge=1, le=20000)] = 5000
    fetch_max_bytes: Annotated[
        int, Field(description="Most bytes of one fetch from Kafka", ge=2 * 1024 * 1024, le=256 * 1024 * 1024)
    ] = 8 * 1024 * 1024
    shard_max_smbs: Annotated[int, Field(description="Most SMBs in one shard of a nightly job", ge=1, le=50000)] = 5000
    shutdown_seconds: Annotated[
        int, Field(description="How long a worker may take to finish its batch after SIGTERM", ge=1, le=600)
    ] = 30
    policy_file: Annotated[Path | None, Field(description="The scoring policy in TOML; the built-in one if unset")] = (
        None
    )
    log_format: Annotated[Literal["json", "console"], Field(description="Logs for machines or for people")] = "json"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least level logged")] = "INFO"
    job_name: Annotated[
        str | None, Field(description="The Kubernetes job's name (downward API): the trigger's id", max_length=200)
    ] = None
    crash_at: Annotated[
        str | None, Field(description="Fault tests only: kill this process at the named point, as point or point:nth")
    ] = None

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            message = "must start with postgresql://"
            raise ValueError(message)
        try:
            parts = urlsplit(value.get_secret_value())
            usable = bool(parts.hostname or parts.query) and parts.port != 0
        except ValueError:  # its message would quote what may be a part of the password
            usable = False
        if not usable:
            message = "is no address with a host and a port; are / @ # ? in the password percent-encoded?"
            raise ValueError(message)
        return value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
                message = f"{address.strip()!r} is not host:port"
                raise ValueError(message)
        return value

    @field_validator("policy_file", "kafka_ca_file", "jwt_jwks_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            message = f"there is no file {value}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _sasl_is_all_or_nothing(self) -> Self:
        """Half of a login would be left out or sent empty, and nobody would be told."""
        login = {
            "KAFKA_SASL_MECHANISM": self.kafka_sasl_mechanism,
            "KAFKA_SASL_USERNAME": self.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": self.kafka_sasl_password and self.kafka_sasl_password.get_secret_value(),
        }
        protocol = f"{PREFIX}KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol}"
        if self.kafka_security_protocol.startswith("SASL_"):
            problems = [f"{PREFIX}{name}: is missing, and {protocol}" for name, value in login.items() if not value]
        else:
            problems = [
                f"{PREFIX}{name}: is set, and {protocol}, which takes no login"
                for name, value in login.items()
                if value is not None
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then `NAME_FILE` for what the environment leaves out."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _FromNamedFiles(settings_cls)


class _FromNamedFiles(PydanticBaseSettingsSource):
    """`SMB_DATABASE_URL_FILE=/run/secrets/url` gives `SMB_DATABASE_URL` the file's content, less the last newline."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None or field_name.endswith("_file"):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            message = f"{variable}: cannot read {path}: {error}"
            raise WrongSettings(message) from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401  the model checks each
    """Read the settings. Raises WrongSettings with one line that names each variable that is missing or wrong."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_input=False, include_url=False):
            variable = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
            what = "is missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
            # What concerns several settings names them itself.
            problems.append(f"{variable}: {what}" if problem["loc"] else what)
        raise WrongSettings("; ".join(problems)) from None
