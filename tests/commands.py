"""Running a command of `smb-crm` as a user runs it: a process with an environment."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.installation import PATIENCE_SECONDS
from tests.loaded_process import LoadedProcess


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
    return await asyncio.to_thread(_run, environment, [str(one) for one in arguments])


def _run(environment: Mapping[str, str], arguments: list[str]) -> Ran:
    with tempfile.TemporaryDirectory(prefix="smb-crm-test-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        code = LoadedProcess("services.cli", arguments, environment, out, err).wait(PATIENCE_SECONDS)
        return Ran(code, out.read_text(), err.read_text())


async def succeeds(environment: Mapping[str, str], *arguments: object) -> Ran:
    """Run a command that has to end well, without a word on standard error."""
    ran = await smb_crm(environment, *arguments)
    assert (ran.code, ran.err) == (0, ""), (ran.code, ran.out, ran.err)
    return ran
