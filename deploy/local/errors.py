"""What can go wrong with the local stack."""


class LocalStackError(Exception):
    """The local servers cannot be used. One line: what is wrong and what to do about it."""


class PortTakenError(LocalStackError):
    """Somebody else took the port between its choice and the server's start."""


class FolderInUseError(LocalStackError):
    """Another program that still runs has its servers in this folder."""
