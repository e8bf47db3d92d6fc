"""`smb-crm schemas`: the JSON Schemas of all messages, for other teams' tools."""

import json
from typing import Annotated

import typer

from services.cli.errors import CommandFailed


def schemas(
    name: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="One type, such as EmailOpened; all if left out.")
    ] = None,
    body: Annotated[bool, typer.Option("--body", help="Only the data (binary mode), not the whole document.")] = False,
) -> None:
    """Print the JSON Schemas of the messages, in and out, as one JSON object by type."""
    from shared.schemas.json_schemas import data_schemas, document_schemas

    found = data_schemas() if body else document_schemas()
    if name is not None and name not in found:
        raise CommandFailed(f"there is no message type {name!r}; there are {', '.join(sorted(found))}")
    typer.echo(json.dumps(found if name is None else {name: found[name]}, indent=2))
