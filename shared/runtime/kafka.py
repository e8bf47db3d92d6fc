"""How this process connects to Kafka: one place for addresses, security and the options that keep records safe."""

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from shared.runtime.settings import Settings

REQUEST_TIMEOUT_MILLISECONDS = 20_000


def client_options(settings: Settings) -> dict[str, Any]:
    """Options of every aiokafka client."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": REQUEST_TIMEOUT_MILLISECONDS,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_sasl_mechanism is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = _password(settings)
    return options


def producer_options(settings: Settings) -> dict[str, Any]:
    """Options of a producer that loses, doubles and reorders nothing on its own.

    It does not linger: whoever publishes hands over all there is before waiting, and so fills the producer's batches.
    """
    return client_options(settings) | {
        "enable_idempotence": True,
        "acks": "all",
        "max_request_size": 2 * 1024 * 1024,
    }


def broker_security(settings: Settings) -> BaseSecurity:
    """The same security in FastStream's terms."""
    context = _ssl_context(settings) if settings.kafka_security_protocol.endswith("SSL") else None
    if settings.kafka_sasl_mechanism is None:
        return BaseSecurity(ssl_context=context, use_ssl=context is not None)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username or "",
        password=_password(settings),
        ssl_context=context,
        use_ssl=context is not None,
    )


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.kafka_ca_file)


def _password(settings: Settings) -> str:
    return settings.kafka_sasl_password.get_secret_value() if settings.kafka_sasl_password else ""
