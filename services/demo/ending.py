"""How the demo ends before its time: Ctrl-C, SIGTERM or a closed terminal begin the end, once."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Cancels the task that made it at the first signal; from then on nothing interrupts the way out."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._task = asyncio.current_task()
        self.asked = False
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        if self.asked or self._task is None:
            self._say("Still stopping, one moment")
            return
        self.asked = True
        self._task.cancel()


async def to_the_end(blocking: Callable[[], Result], undo: Callable[[Result], None]) -> Result:
    """Run something that blocks in a thread. When cancelled, wait for its end, undo what it did, then be cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(blocking))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        undo(await running)
        raise


async def guarded(act: Coroutine[Any, Any, Result], *guards: Coroutine[Any, Any, None]) -> Result:
    """Run `act` to its end beside `guards`, which end only by an error; that error is then raised instead."""
    acting = asyncio.ensure_future(act)
    guarding = [asyncio.ensure_future(guard) for guard in guards]
    try:
        await asyncio.wait([acting, *guarding], return_when=asyncio.FIRST_COMPLETED)
        for guard in guarding:
            if guard.done():
                guard.result()
        return await acting
    finally:
        for task in (acting, *guarding):
            task.cancel()
        await asyncio.gather(acting, *guarding, return_exceptions=True)
