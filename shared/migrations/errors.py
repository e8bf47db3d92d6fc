"""What can go wrong with a migration."""


class MigrationError(Exception):
    """The database could not be brought to the newest schema. One line: why, and what to do about it."""
