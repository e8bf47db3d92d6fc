"""Running a command of `smb-crm` as a user runs it: a process with an environment."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.installation import PATIENCE_SECONDS


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401  whatever the command prints
        """Its output as JSON."""
        return json.loads(self.out)

    @property
    def failure(self) -> str:
        """The one line on standard error of a command that failed."""
        assert self.code == 1, (self.code, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


async def smb_crm(environment: Mapping[str, str], *arguments: object) -> Ran:
    """Run `smb-crm` with these arguments to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *map(str, arguments),
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def succeeds(environment: Mapping[str, str], *arguments: object) -> Ran:
    """Run a command that has to end well, without a word on standard error."""
    ran = await smb_crm(environment, *arguments)
    assert (ran.code, ran.err) == (0, ""), (ran.code, ran.out, ran.err)
    return ran
