"""One worker process: its parts, how it starts, and how it ends at SIGTERM."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable

import uvicorn
from aiokafka.admin import AIOKafkaAdminClient
from faststream.asgi import AsgiFastStream
from faststream.specification import AsyncAPI

from shared.migrations import schema_is_current
from shared.runtime import crash_points, metrics, retention
from shared.runtime.batch import Batches
from shared.runtime.consumer import Consumer
from shared.runtime.database import Database
from shared.runtime.errors import RuntimeTrouble, WrongSettings, cause_of, one_line
from shared.runtime.health import Health
from shared.runtime.kafka import client_options
from shared.runtime.line import Line
from shared.runtime.logs import configure_logs, logger
from shared.runtime.losses import Losses
from shared.runtime.outcome import Handler
from shared.runtime.polling import poll_carefully
from shared.runtime.positions import Positions, require_none_behind
from shared.runtime.reading import Reader
from shared.runtime.relay import Relay
from shared.runtime.serving import Server, listen
from shared.runtime.settings import Settings
from shared.runtime.subscriber import create_broker
from shared.runtime.watch import Watch
from shared.schemas.policy import Policy, PolicyError, load_policy
from shared.schemas.topics import TOPICS, Service, Topics

# Collect garbage rarely: a batch makes tens of thousands of objects that die together.
GARBAGE_THRESHOLD = 100_000


class NotThereYet(RuntimeTrouble):
    """Something this worker needs is missing and may still come: the schema or a topic."""


class Worker:
    """What the app of a service declares its subscribers on."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.policy = read_policy(settings)
        self.topics = Topics(settings.topic_prefix)
        self.database = Database.create(settings.database_url.get_secret_value(), application=f"smb-crm {service}")
        self.line = Line(service)
        self.broker = create_broker(settings)
        self.relay = Relay(settings, self.database, self.line)
        self.health = Health(service, self.database, self.line)
        self._losses = Losses()
        self._groups: dict[str, list[str]] = {}
        self._repeated: list[tuple[Callable[[], Awaitable[None]], float]] = []
        self._background: list[asyncio.Task[None]] = []
        self.repeat(self._remove_old, retention.EVERY_SECONDS)
        metrics.describe_build(service, self.policy.version)

    def consumer(self, group: str, topics: list[str], handler: Handler) -> Consumer:
        """Make what settles the batches of one subscription: a group that reads topics (full names)."""
        batches = Batches(self.service, group, self.database, self.topics, handler)
        consumer = Consumer(batches, Reader(self.service, self.topics), self.line, self._compare, self._losses)
        self._groups[group] = topics
        self.health.consumers[group] = consumer
        return consumer

    def repeat(self, act: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
        """Declare what this worker does beside consuming: `act` again and again, with a pause after each time.

        It runs in every replica at once, and again after any failure, so it must be harmless when done twice. It rests
        while the line is stopped and ends at the shutdown.
        """
        self._repeated.append((act, pause_seconds))

    def app(self, description: str) -> AsgiFastStream:
        """The FastStream app, also for `faststream run`."""
        return AsgiFastStream(
            self.broker,
            logger=None,
            asgi_routes=self.health.routes(),
            asyncapi_path="/docs",
            specification=AsyncAPI(title=f"smb-crm {self.service}", description=description),
            on_startup=[self._before_broker],
            after_startup=[self._after_broker],
            on_shutdown=[self._begin_shutdown],
            after_shutdown=[self._end],
        )

    async def _before_broker(self) -> None:
        """Wait, alive and not ready, until the database's schema and the topics are there."""
        await self._wait_for(self._require_schema)
        await self._wait_for(self._require_topics)
        await self._wait_for(self.broker.connect)
        poll_carefully(self.broker, self.line)

    async def _after_broker(self) -> None:
        watch = Watch(self.settings, self.database, self.line, self._groups, self._losses)
        self.health.troubles = {"relay": lambda: self.relay.trouble, "watch": watch.trouble}
        self._background = [
            asyncio.create_task(self.relay.run(), name="relay"),
            asyncio.create_task(watch.run(), name="watch"),
            asyncio.create_task(self.health.run(), name="health"),
            *(
                asyncio.create_task(self._keep_repeating(act, seconds), name=getattr(act, "__name__", "repeated"))
                for act, seconds in self._repeated
            ),
        ]
        self.health.consuming = True
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)
        logger().info("worker is consuming", groups=self._groups)

    async def _keep_repeating(self, act: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
        while not self.line.shutting_down.is_set():
            if self.line.stopped_because is None:
                try:
                    await act()
                except Exception as error:  # noqa: BLE001  the next time tries again; the log and the metric tell
                    metrics.RETRIES.labels(self.service, cause_of(error)).inc()
                    logger().warning("background work failed, trying again", error=one_line(error))
            await self.line.pause(pause_seconds)

    async def _remove_old(self) -> None:
        """One process at a time is enough: the one that publishes."""
        if self.relay.leads:
            await retention.remove_old(self.database)

    def _begin_shutdown(self) -> None:
        self.line.shutting_down.set()

    async def _end(self) -> None:
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=self.settings.shutdown_seconds)
            for task in late:
                logger().error("background work did not end in time and is cancelled", work=task.get_name())
                task.cancel()
        await self.database.close()
        logger().info("worker has ended")

    async def _wait_for(self, require: Callable[[], "asyncio.Future[None] | object"]) -> None:
        while not self.line.shutting_down.is_set():
            try:
                await require()  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001  nothing can be done but wait; the log says for what
                metrics.RETRIES.labels(self.service, cause_of(error)).inc()
                logger().warning("waiting", error=one_line(error))
                await self.line.pause(1)
            else:
                return

    async def _require_schema(self) -> None:
        async with self.database.begin() as connection:
            if not await schema_is_current(connection):
                message = "the database's schema is older than this program: run `smb-crm migrate`"
                raise NotThereYet(message)

    async def _compare(self) -> None:
        """Compare the database with what Kafka has acknowledged, over all partitions and the groups of all services.

        Raises DatabaseWentBack.
        """
        async with Positions(self.settings) as positions:
            found = await positions.read(self.database, self.topics.groups())
        self._losses.look([one for one in found if one.group in self._groups])
        require_none_behind(found)

    async def _require_topics(self) -> None:
        admin = AIOKafkaAdminClient(**client_options(self.settings))
        await admin.start()
        try:
            missing = {self.topics.full_name(topic) for topic in TOPICS} - set(await admin.list_topics())
        finally:
            await admin.close()
        if missing:
            message = f"topics are missing: {', '.join(sorted(missing))}; run `smb-crm topics`"
            raise NotThereYet(message)


def read_policy(settings: Settings) -> Policy:
    """The policy that the settings name, or the built-in one. Raises WrongSettings."""
    if settings.policy_file is None:
        return Policy.default()
    try:
        return load_policy(settings.policy_file)
    except PolicyError as error:
        message = f"SMB_POLICY_FILE: {error}"
        raise WrongSettings(message) from error


async def run(worker: Worker, app: AsgiFastStream) -> None:
    """Run until SIGTERM or SIGINT. The operations server answers from the first moment, whatever is still missing."""
    configure_logs(log_format=worker.settings.log_format, level=worker.settings.log_level, service=worker.service)
    crash_points.arm(worker.settings.crash_at)
    listening = listen(worker.settings.http_host, worker.settings.ops_port, "SMB_OPS_PORT")
    loop = asyncio.get_running_loop()
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, worker.line.shutting_down.set)
    server = Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    starting = asyncio.create_task(_start(worker, app))
    await worker.line.shutting_down.wait()
    await starting
    await app.stop()
    server.should_exit = True
    await serving


async def _start(worker: Worker, app: AsgiFastStream) -> None:
    while not worker.line.shutting_down.is_set():
        try:
            await app.start()
        except Exception as error:  # noqa: BLE001  the broker went away in between: wait for it
            logger().warning("cannot start consuming yet", error=one_line(error))
            await worker.broker.stop()
            await worker.line.pause(1)
        else:
            return
