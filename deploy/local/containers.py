"""The same two servers as containers, where a Docker engine is at hand (SMB_LOCAL_STACK=containers)."""

from collections.abc import Callable
from contextlib import ExitStack

from deploy.local.errors import LocalStackError
from deploy.local.kafka import SETTINGS as KAFKA_SETTINGS
from deploy.local.kafka import START_SECONDS, answers
from deploy.local.ports import free_port, is_open
from deploy.local.postgres import DATABASE, USER
from deploy.local.process import wait_until
from deploy.local.stack import Stack

POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = "apache/kafka:4.3.0"
# Inside the container.
BROKER_PORT, CONTROLLER_PORT = 9092, 9093


def start_containers(progress: Callable[[str], None]) -> Stack:
    """Start both containers, pulling their images where they are missing; `stop` removes them.

    Raises LocalStackError when testcontainers or a Docker engine is missing, or a server does not become ready.
    """
    try:
        from docker.errors import DockerException  # noqa: PLC0415 - testcontainers may not be installed
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    except ModuleNotFoundError:
        raise LocalStackError("testcontainers is missing: install smb-crm with the extra `dev`") from None
    with ExitStack() as started:
        try:
            progress(f"Starting the containers {POSTGRES_IMAGE} and {KAFKA_IMAGE}")
            database = PostgresContainer(POSTGRES_IMAGE, username=USER, dbname=DATABASE, driver=None)
            started.enter_context(database)
            # The broker must know the address that it advertises before it starts.
            port = free_port()
            broker = DockerContainer(KAFKA_IMAGE).with_bind_ports(BROKER_PORT, port)
            for name, value in broker_environment(port).items():
                broker.with_env(name, value)
            started.enter_context(broker)
        except DockerException as error:
            cause = str(error).splitlines()[0]
            raise LocalStackError(f"no containers here ({cause}): unset SMB_LOCAL_STACK for local processes") from error
        if not wait_until(lambda: is_open(port) and answers(port), START_SECONDS):
            raise LocalStackError(f"the container {KAFKA_IMAGE} was not ready after {START_SECONDS:.0f} s")
        return Stack(database.get_connection_url(), f"127.0.0.1:{port}", started.pop_all().close)


def broker_environment(port: int) -> dict[str, str]:
    """Return the broker's settings as environment variables: dots become underscores after the image's prefix."""
    settings = {
        **KAFKA_SETTINGS,
        "listeners": f"BROKER://:{BROKER_PORT},CONTROLLER://:{CONTROLLER_PORT}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{CONTROLLER_PORT}",
    }
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings.items()}
