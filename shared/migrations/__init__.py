"""The database's schema: numbered steps that only go forward, and what brings a database to the newest one.

Owns the tables, the view `smb_overview` and the roles smb_owner, smb_worker, smb_api and smb_reader.

`runner.migrate` is not loaded here: workers only ask whether the schema is current, and need no Alembic for that.
"""

from shared.migrations.errors import MigrationError
from shared.migrations.version import newest_revision, schema_is_current

__all__ = ["MigrationError", "newest_revision", "schema_is_current"]
