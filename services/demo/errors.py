"""What ends the demo before its time."""

from collections.abc import Sequence

from shared.runtime.errors import RuntimeTrouble


class DemoFailed(RuntimeTrouble):
    """The demo can't go on, or its numbers are wrong. One line: why, and what to do; `details` are shown before it."""

    def __init__(self, line: str, details: Sequence[str] = ()) -> None:
        super().__init__(line)
        self.details = details
