"""Named points at which a fault test kills the process, as `SMB_CRASH_AT=point` or `point:nth` asks."""

import os
import signal
from collections import Counter

BEFORE_COMMIT = "before_commit"
AFTER_COMMIT = "after_commit"
AFTER_PUBLISH = "after_publish"
BEFORE_DELETE = "before_delete"
POINTS = (BEFORE_COMMIT, AFTER_COMMIT, AFTER_PUBLISH, BEFORE_DELETE)

_passed: Counter[str] = Counter()
_armed: list[tuple[str, int]] = []


def arm(setting: str | None) -> None:
    """Arm the point that the setting names; None arms nothing. Raises ValueError for an unknown point."""
    _armed.clear()
    if setting is None:
        return
    point, _, nth = setting.partition(":")
    if point not in POINTS:
        message = f"SMB_CRASH_AT: there is no point {point!r}, only {', '.join(POINTS)}"
        raise ValueError(message)
    _armed.append((point, int(nth or 1)))


def reach(point: str) -> None:
    """Die here by SIGKILL when this is the armed point, passed for the nth time."""
    if not _armed:
        return
    _passed[point] += 1
    if (point, _passed[point]) in _armed:
        os.kill(os.getpid(), signal.SIGKILL)
