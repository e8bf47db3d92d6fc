"""A real Apache Kafka 4.3 (KRaft, one node that is broker and controller) as a child process."""

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.errors import LocalStackError, PortTakenError
from deploy.local.kafka_programs import class_path, java
from deploy.local.ports import LOOPBACK, free_port, is_open, is_taken
from deploy.local.process import ServerProcess

# Recovery of large logs after a kill takes longest.
START_SECONDS = 120.0
# A controlled shutdown of one node takes about a second.
STOP_SECONDS = 30.0
# One question to a broker that has just opened its port.
ADMIN_SECONDS = 5.0
PORT_ATTEMPTS = 5

JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx384m",
    # The least memory, and the quickest start.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.net.preferIPv4Stack=true",
    # Netty-free, but the compression libraries load native code.
    "--enable-native-access=ALL-UNNAMED",
)

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # There is one node.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # A group's first member need not wait for others.
    "group.initial.rebalance.delay.ms": "0",
    # After a kill the node takes itself for alive until its session ends: 4 s instead of 13.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    # Sized for one machine.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
}

LOGGING = """\
<Configuration status="error">
  <Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class KafkaServer:
    """One Apache Kafka node with its data in a folder, on loopback only."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use this folder; `settings` (server.properties names) go over the defaults."""
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._properties = self._folder / "server.properties"
        self._settings = {**SETTINGS, **(settings or {})}
        self._progress = progress
        self._process = ServerProcess("Apache Kafka", self._folder)
        self._ports: tuple[int, int] | None = None

    @property
    def port(self) -> int:
        """The broker's port on loopback, the same one after each restart; 0 before the first start."""
        return self._ports[0] if self._ports else 0

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given to find the broker."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the broker wrote since its last start (warnings and errors)."""
        return self._process.log_file

    def start(self) -> None:
        """Start the broker and wait until it answers; ends one that an earlier run left behind.

        Downloads the jars and formats the data folder where they are missing. Does nothing when it runs.
        """
        if self._process.is_running():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process.end_leftover()
        # Ports that were used once are kept, because clients know them.
        if self._ports:
            self._start_on(*self._ports)
            return
        for _ in range(PORT_ATTEMPTS):
            ports = free_port(), free_port()
            try:
                self._start_on(*ports)
            except PortTakenError:
                continue
            self._ports = ports
            return
        raise LocalStackError(f"Apache Kafka found no free port in {PORT_ATTEMPTS} attempts")

    def stop(self) -> None:
        """End the broker in order. Does nothing when it does not run."""
        self._process.stop(signal.SIGTERM, STOP_SECONDS)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start it on the same port; `immediate` kills it, so that it must recover its logs."""
        if immediate:
            self.kill()
        else:
            self.stop()
        self.start()

    def kill(self) -> None:
        """End it at once (SIGKILL); `start` brings it back."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop its time until `thaw`; connections stay open and get no answer."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._process.thaw()

    def pids(self) -> list[int]:
        """Return the ids of its processes; none when it does not run."""
        return self._process.pids()

    def is_running(self) -> bool:
        """Tell whether it runs (a frozen one does)."""
        return self._process.is_running()

    def _start_on(self, port: int, controller_port: int) -> None:
        listeners = f"BROKER://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}"
        settings = {
            **self._settings,
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
            "log.dirs": str(self._data),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        logging_file = self._folder / "log4j2.xml"
        logging_file.write_text(LOGGING)
        jars = os.pathsep.join(str(jar) for jar in class_path(self._progress))
        program = [str(java()), *JAVA_OPTIONS, f"-Dlog4j2.configurationFile={logging_file}", "-cp", jars]
        self._format(program)
        self._process.spawn([*program, "kafka.Kafka", str(self._properties)], os.environ)
        try:
            self._process.wait_until_ready(lambda: is_open(port) and answers(port), START_SECONDS)
        except BaseException as error:
            self._process.kill()
            if isinstance(error, LocalStackError) and (is_taken(port) or is_taken(controller_port)):
                raise PortTakenError(f"port {port} or {controller_port} was taken by another program") from error
            raise

    def _format(self, program: list[str]) -> None:
        # Written last, so that a format that was interrupted is done anew.
        formatted = self._folder / "formatted"
        if formatted.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One word, because one id in 64 begins with a dash and would be taken for an option.
        named = f"--cluster-id={cluster}"
        command = [*program, "kafka.tools.StorageTool", "format", named, "-c", str(self._properties)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            last = (f"{result.stdout}\n{result.stderr}".strip().splitlines() or ["no output"])[-1]
            raise LocalStackError(f"Apache Kafka could not format {self._data}: {last}")
        formatted.touch()


def answers(port: int) -> bool:
    """Tell whether the broker takes part in its cluster (an open port alone comes earlier).

    Asked in a thread of its own, because the caller may have a running event loop.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(lists_a_broker(port))).result()


async def lists_a_broker(port: int) -> bool:
    """Ask for the brokers that clients may use; a broker that is not let in yet does not list itself."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=f"{LOOPBACK}:{port}", request_timeout_ms=int(ADMIN_SECONDS * 1000), client_id="local-stack"
    )
    try:
        async with asyncio.timeout(ADMIN_SECONDS):
            await admin.start()
            cluster = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])
