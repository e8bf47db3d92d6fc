"""`smb-crm migrate`: the database's schema."""

from services.cli.connections import run
from services.cli.output import say


def migrate() -> None:
    """Bring the database to the newest schema.

    Safe to run twice, and from several pods at once: one of them does it, the others wait. Needs a database user that
    may create roles the first time.
    """
    from shared.migrations.runner import migrate as bring_to_newest
    from shared.runtime.settings import load_settings

    run(bring_to_newest(load_settings().database_url.get_secret_value(), say))
