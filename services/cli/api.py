"""`smb-crm api` and `smb-crm token`: the HTTP API, and a credential for it."""

import asyncio
import os
import signal
from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from services.cli.output import AsJson, say, say_json


class RoleName(StrEnum):
    """The roles of a credential."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


def api() -> None:
    """Run the HTTP API until SIGTERM or Ctrl-C.

    It listens on SMB_HTTP_HOST and SMB_HTTP_PORT; /api/v1/openapi.json describes it. Its port SMB_OPS_PORT answers
    /livez, /readyz and /metrics. It waits, alive and not ready, while the database is down. Run as many as you like.
    """
    # Loading takes a second; who is asked to end meanwhile has nothing to finish. `run` takes the signal over. An
    # exception would not do: Python ignores one that is raised while it cleans an import's lock up.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from services.api.server import run
    from shared.runtime.settings import load_settings

    asyncio.run(run(load_settings()))


def token(
    tenant: Annotated[UUID, typer.Option(help="Whose SMBs it opens.")],
    role: Annotated[RoleName, typer.Option(help="What it may do.")] = RoleName.OPERATOR,
    subject: Annotated[
        str, typer.Option(help="Who holds it; named in logs and counted by the rate limit.")
    ] = "developer",
    hours: Annotated[float, typer.Option(help="For how long it is valid.", min=0.01, max=24 * 366)] = 12,
    as_json: AsJson = False,
) -> None:
    """Make a development credential for the API, signed with SMB_JWT_KEY.

    In production your identity provider makes them, and SMB_JWT_JWKS_FILE names its public keys.
    """
    from services.api.credentials import mint
    from services.api.roles import Role
    from shared.runtime.settings import load_settings

    made = mint(load_settings(), tenant, Role.named(role), subject, timedelta(hours=hours))
    if as_json:
        say_json({"token": made, "tenant_id": tenant, "role": role, "subject": subject, "hours": hours})
    else:
        say(made)
