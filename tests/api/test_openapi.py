"""The OpenAPI document is true: schemathesis asks everything that it allows, and much that it doesn't."""

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

from tests.api.serving import Served
from tests.commands import succeeds

# Each operation with its examples, random and broken requests, and sequences of operations that feed each other. All
# edges of all parameters (the phase "coverage") are two thousand requests more: for a new route, by hand.
PHASES = "examples,fuzzing,stateful"
EXAMPLES = 4
# What the document can't say is refused too: a community that doesn't exist, a version that is not the present. And
# PUT /smbs/import is understood as an SMB of that id, so it is no method that is not allowed.
NOT_CHECKED = "positive_data_acceptance,unsupported_method"


async def test_no_request_is_answered_in_a_way_that_the_document_does_not_tell(served: Served, tmp_path: Path) -> None:
    minted = await succeeds(served.environment, "token", "--tenant", uuid4(), "--role", "admin")
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {minted.out.strip()}"),
        *("--phases", PHASES, "--checks", "all", "--exclude-checks", NOT_CHECKED),
        *("--max-examples", str(EXAMPLES), "--seed", "1"),
        *("--no-shrink", "--generation-database", "none", "--warnings", "off", "--request-timeout", "60"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    assert running.returncode == 0, told.decode()[-20_000:]
