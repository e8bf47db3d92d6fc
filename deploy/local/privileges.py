"""PostgreSQL refuses to run as root: where this program is root, its server runs as an unprivileged user."""

import os
import shutil
from pathlib import Path

from deploy.local.errors import LocalStackError

# The user "nobody" of every Linux; it need not have a name on the machine.
SERVER_USER = 65534
# The bit of CAP_DAC_OVERRIDE in /proc/self/status.
DAC_OVERRIDE_BIT = 1


def without_root() -> list[str]:
    """Return what to write before a command so that it runs unprivileged; empty where this program is not root.

    The command keeps the right to reach its own programs and data, which may lie below a folder that only root can
    enter (root's home). That right is inherited as an ambient capability.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LocalStackError("PostgreSQL does not run as root and the program setpriv is missing: use another user")
    command = [setpriv, f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"]
    if may_override_file_rights():
        command += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return command


def give_to_server_user(folder: Path) -> None:
    """Make the server's user the owner of an empty folder, as PostgreSQL demands; nothing where we are not root."""
    if os.geteuid() == 0:
        os.chown(folder, SERVER_USER, SERVER_USER)


def may_override_file_rights() -> bool:
    """Tell whether this process has CAP_DAC_OVERRIDE and may hand it on (a container may lack it)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> DAC_OVERRIDE_BIT & 1)
    return False
