"""`smb-crm worker` as a process, from its very first moment."""

from pathlib import Path

from tests.installation import Installation, eventually


async def test_a_worker_that_is_asked_to_end_while_it_still_loads_ends_with_zero(installation: Installation) -> None:
    for _ in range(3):
        worker = installation.start("engagement")
        maps = Path(f"/proc/{worker.process.pid}/maps")
        await eventually(lambda: "aiokafka" in maps.read_text(), "the first libraries are loaded")  # noqa: B023
        assert worker.terminate() == 0, worker.logged()
