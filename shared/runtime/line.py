"""The line: a worker stops consuming, alive and not ready, when going on would do harm."""

import asyncio
from collections import Counter

from shared.runtime import metrics
from shared.runtime.errors import LineStopped
from shared.runtime.logs import logger

# So many failures of our own code in a row, without one success, look like a bad deploy: going on would empty the
# topic into the dead letters.
FAILURES_IN_A_ROW = 100
BUGS = "own_code_fails"
DATABASE_WENT_BACK = "database_went_back"
UNEXPECTED = "unexpected_error"
UNREADABLE = "unreadable_record"


class Line:
    """Whether one worker process may go on, and whether it is being shut down."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.stopped_because: str | None = None
        self.shutting_down = asyncio.Event()
        self._failures_in_a_row: Counter[str] = Counter()
        for why in (BUGS, DATABASE_WENT_BACK, UNEXPECTED, UNREADABLE):
            metrics.LINE_STOPPED.labels(service, why).set(0)

    def succeeded(self, group: str) -> None:
        """Something was applied: failures of this consumer group before it were not a bad deploy."""
        self._failures_in_a_row[group] = 0

    def failed(self, group: str) -> None:
        """One record of a group failed three times in our own code. Raises LineStopped at the hundredth in a row."""
        self._failures_in_a_row[group] += 1
        if self._failures_in_a_row[group] >= FAILURES_IN_A_ROW:
            self.stop(BUGS, f"{FAILURES_IN_A_ROW} records in a row failed in our own code: is this a bad deploy?")
            raise LineStopped(BUGS)

    def stop(self, why: str, message: str) -> None:
        """Stop the line and say so loudly. Safe to call twice."""
        if self.stopped_because is None:
            self.stopped_because = message
            metrics.LINE_STOPPED.labels(self.service, why).set(1)
            logger().error("line stopped", why=why, message=message)

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the shutdown."""
        try:
            async with asyncio.timeout(seconds):
                await self.shutting_down.wait()
        except TimeoutError:
            return
