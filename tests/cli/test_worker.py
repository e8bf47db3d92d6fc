"""`smb-crm worker` as a process, from its very first moment."""

import asyncio
import signal
import sys
from pathlib import Path

from tests.installation import PATIENCE_SECONDS, Installation, eventually


async def test_a_worker_that_is_asked_to_end_while_it_still_loads_ends_with_zero(installation: Installation) -> None:
    for _ in range(3):
        worker = await asyncio.create_subprocess_exec(
            Path(sys.prefix, "bin", "smb-crm"), "worker", "engagement", env=installation.environment
        )
        maps = Path(f"/proc/{worker.pid}/maps")
        await eventually(lambda: "aiokafka" in maps.read_text(), "the first libraries are loaded")  # noqa: B023
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await worker.wait() == 0
