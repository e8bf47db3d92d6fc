"""Every ten seconds: compare rows, committed offsets and the log's ends, and refresh what Grafana reads."""

from collections import Counter
from time import monotonic

from aiokafka import TopicPartition
from sqlalchemy import text

from shared.runtime import line as lines
from shared.runtime import metrics, outbox_queue
from shared.runtime.database import Database
from shared.runtime.errors import DatabaseWentBack, cause_of, one_line
from shared.runtime.line import Line
from shared.runtime.logs import logger
from shared.runtime.losses import Losses
from shared.runtime.positions import Position, Positions, require_none_behind
from shared.runtime.settings import Settings
from shared.schemas.topics import Topics

EVERY_SECONDS = 10.0
AFTER_TROUBLE_SECONDS = 2.0
# A look that has not ended by then makes the worker not ready: Kafka or the database does not answer.
STALE_SECONDS = 30.0

JOBS = text(
    """
    SELECT name, max(finished_at) AS finished_at, sum(shards_done) AS shards_done,
        coalesce(sum(shards_total - shards_done) FILTER (WHERE status <> 'finished'), 0) AS shards_open
    FROM job_runs GROUP BY name
    """,
)
LAST_VERIFICATION = text("SELECT finished_at, mismatches_by_kind FROM verifications ORDER BY id DESC LIMIT 1")


class Watch:
    """Watches positions and the runtime's tables; `groups` are this worker's, of which it reports.

    The groups of all services tell whether the database went back: this worker's may have been quiet since the backup.
    """

    def __init__(
        self, settings: Settings, database: Database, line: Line, groups: dict[str, list[str]], losses: Losses
    ) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._groups = groups
        self._losses = losses
        self._past_the_end: set[tuple[str, TopicPartition]] = set()
        self._looked_at = monotonic()
        self._failure: str | None = None

    def trouble(self) -> str | None:
        """Why Kafka's positions are not known, in one line; None when the last look saw them."""
        if self._failure is not None:
            return self._failure
        seconds = int(monotonic() - self._looked_at)
        return f"Kafka was last seen {seconds} s ago" if seconds > STALE_SECONDS else None

    async def run(self) -> None:
        """Look every ten seconds until the shutdown; trouble is logged and the next look starts afresh."""
        while not self._line.shutting_down.is_set():
            try:
                async with Positions(self._settings) as positions:
                    while not self._line.shutting_down.is_set():
                        await self.look(positions)
                        await self._line.pause(EVERY_SECONDS)
            except DatabaseWentBack as error:
                self._line.stop(lines.DATABASE_WENT_BACK, str(error))
            except Exception as error:  # noqa: BLE001  watching must not end the work; the next look tries again
                metrics.RETRIES.labels("watch", cause_of(error)).inc()
                self._failure = one_line(error)
                logger().warning("watch starts afresh", error=self._failure)
            await self._line.pause(AFTER_TROUBLE_SECONDS)

    async def look(self, positions: Positions) -> None:
        """Look once. Raises DatabaseWentBack when a row stands behind what Kafka has committed."""
        found = await positions.read(self._database, Topics(self._settings.topic_prefix).groups())
        self._looked_at, self._failure = monotonic(), None
        self._report([one for one in found if one.group in self._groups])
        require_none_behind(found)
        await self._refresh_gauges()

    def _report(self, found: list[Position]) -> None:
        lag: Counter[str] = Counter(dict.fromkeys(self._groups, 0))
        for one in found:
            lag[one.group] += one.lag
        for group in self._groups:
            metrics.LAG.labels(group).set(lag[group])
        self._losses.look(found)
        past_the_end = {(one.group, one.partition) for one in found if one.is_past_the_end}
        for group, partition in sorted(past_the_end - self._past_the_end):
            logger().warning(
                "topic was re-created: it ends before what this group has finished, so that a database restored from "
                "a backup is not noticed here until its log is longer again",
                group=group,
                topic=partition.topic,
                partition=partition.partition,
            )
        self._past_the_end = past_the_end

    async def _refresh_gauges(self) -> None:
        async with self._database.transaction() as transaction:
            depth, age = await outbox_queue.depth(transaction)
            jobs = (await transaction.execute(JOBS)).all()
            verification = (await transaction.execute(LAST_VERIFICATION)).first()
        metrics.OUTBOX_DEPTH.set(depth)
        metrics.OUTBOX_AGE_SECONDS.set(age)
        for job in jobs:
            metrics.JOB_SHARDS_DONE.labels(job.name).set(job.shards_done)
            metrics.JOB_SHARDS_OPEN.labels(job.name).set(job.shards_open)
            if job.finished_at is not None:
                metrics.JOB_LAST_FINISHED.labels(job.name).set(job.finished_at.timestamp())
        if verification is not None:
            metrics.VERIFY_LAST_FINISHED.set(verification.finished_at.timestamp())
            for kind, mismatches in verification.mismatches_by_kind.items():
                metrics.SCORE_MISMATCHES.labels(kind).set(mismatches)
