"""How often one credential may ask. Each process counts for itself: a fleet of them lets through as many times more."""

from math import ceil
from time import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.api.credentials import Credential
from services.api.problems import Problem


class Rates:
    """A moving window for each credential (tenant and subject)."""

    def __init__(self, limit: str) -> None:
        """Take a limit such as 600/minute."""
        self._limit = parse(limit)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, credential: Credential) -> None:
        """Count one request. Raises Problem 429 when there were too many."""
        name = f"{credential.tenant_id}/{credential.subject}"
        if not self._limiter.hit(self._limit, name):
            reset_at = self._limiter.get_window_stats(self._limit, name).reset_time
            raise Problem(
                429,
                "too-many-requests",
                f"more than {self._limit} of this credential",
                headers={"Retry-After": str(max(1, ceil(reset_at - time())))},
            )
