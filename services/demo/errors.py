"""What ends the demo before its time."""

from shared.runtime.errors import RuntimeTrouble


class DemoFailed(RuntimeTrouble):
    """The demo can't go on, or its numbers are wrong. One line: why, and what to do about it."""
