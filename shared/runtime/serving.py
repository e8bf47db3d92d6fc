"""The HTTP servers inside our processes: a port that is taken is told by name, and signals are left to the process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from shared.runtime.errors import WrongSettings


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Bind a TCP socket. Raises WrongSettings that names the setting when the port is taken."""
    try:
        bound = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        message = f"{setting}: cannot listen on {host}:{port}: {error.strerror}"
        raise WrongSettings(message) from error
    # Said to be TCP, so that asyncio switches Nagle's algorithm off for its connections: with it, a client that keeps
    # its connection waits 40 ms for the body of each answer.
    return socket.socket(bound.family, bound.type, socket.IPPROTO_TCP, fileno=bound.detach())


class Server(uvicorn.Server):
    """Leaves the signals to its process, which ends everything in its order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
