"""The folder of one stack: owned by one program at a time."""

import fcntl
import os
from pathlib import Path

from deploy.local.errors import FolderInUseError


class FolderLock:
    """Holds a folder for this program until `release`, or until the program ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it where it is missing.

        Raises FolderInUseError, which names the other program, when that one still runs.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "in-use.lock"
        # Child processes do not inherit it, so servers that outlive a killed program do not keep the folder taken.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._descriptor, 20).decode() or "unknown"
            os.close(self._descriptor)
            raise FolderInUseError(f"{folder} is in use by the running process {owner}: end that one first") from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others use the folder. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
