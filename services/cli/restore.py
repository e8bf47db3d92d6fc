"""`smb-crm after-restore`: go on with a database that was restored from a backup."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.connections import open_database, open_positions, rfc_3339, run
from services.cli.output import AsJson, moment, say, say_json

if TYPE_CHECKING:
    from services.restore import Restoration
    from shared.runtime.settings import Settings


def after_restore(
    backup_taken_at: Annotated[
        datetime | None,
        typer.Option(
            parser=rfc_3339,
            metavar="RFC3339",
            help="When the backup was taken. Default: the latest moment before it that the database itself knows of.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put things right after the database was restored from a backup, before the workers start.

    Raises the epoch, so that readers of smb.events know that the story is told anew from the backup on. Lets all
    groups read again what the database no longer knows. Erases again what was erased since. Lists the SMBs that only
    readers of smb.events know: like every change made through the API since the backup, their creation is gone.

    Stop all workers first. Safe to run again, also when it broke off half-way.
    """
    from shared.runtime.settings import load_settings

    found = run(_restore(load_settings(), backup_taken_at))
    if as_json:
        say_json(
            asdict(found)
            | {
                "erased_again": [one._asdict() for one in found.erased_again],
                "only_readers_know": [one._asdict() for one in found.only_readers_know],
            }
        )
    else:
        _show(found, backup_taken_at)


async def _restore(settings: "Settings", backup_taken_at: datetime | None) -> "Restoration":
    from services.restore import restore

    async with open_database(settings) as database, open_positions(settings) as positions:
        return await restore(settings, database, positions, backup_taken_at)


def _show(found: "Restoration", backup_taken_at: datetime | None) -> None:
    if backup_taken_at is None:
        said = "nothing" if found.backup_by_database is None else moment(found.backup_by_database)
        say(f"no --backup-taken-at: the database itself knows of {said} last")
    say(
        f"to be read again: {found.records_to_read_again} records, from where the backup stood or "
        f"{moment(found.read_since)}, whichever is earlier"
    )
    say(f"epoch: {found.epoch}")
    say(f"erased again: {len(found.erased_again)} SMBs")
    if found.records_lost_to_retention:
        say(f"LOST: {found.records_lost_to_retention} records that Kafka's retention has deleted since the backup")
    if found.only_readers_know:
        say(f"only readers of smb.events know {len(found.only_readers_know)} SMBs: create them again, or tell them")
        for one in found.only_readers_know:
            say(f"  tenant {one.tenant_id} SMB {one.smb_id}")
    say("Start the workers now; `smb-crm status --wait-idle 600` tells when they have caught up.")
