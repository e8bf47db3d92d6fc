"""Why a request is refused. Every error names the field, and which of the requests it was (from 0)."""

from uuid import UUID


class Refused(Exception):
    """A request that can't be carried out as it is. Nothing of its transaction may be kept."""

    def __init__(self, field: str, reason: str, position: int = 0) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.position = position


class InvalidField(Refused):
    """A field's value is missing, malformed or too long."""


class IdTaken(Refused):
    """The tenant has this id already, in use or deleted, or the request names it twice."""

    def __init__(self, id_: UUID, position: int) -> None:
        super().__init__("id", f"{id_} exists already", position)


class IdErased(Refused):
    """The SMB of this id was erased and can't come back."""

    def __init__(self, id_: UUID, position: int) -> None:
        super().__init__("id", f"{id_} was erased", position)


class ExternalIdTaken(Refused):
    """Another SMB of the tenant that is not deleted has this external id."""

    def __init__(self, external_id: str, position: int) -> None:
        super().__init__("external_id", f"{external_id!r} belongs to another SMB", position)


class UnknownCommunity(Refused):
    """The tenant has no community of this id."""

    def __init__(self, community_id: UUID, position: int = 0, *, field: str = "community_id") -> None:
        super().__init__(field, f"there is no community {community_id}", position)


class UnknownSmb(Refused):
    """The tenant has no SMB of this id; one that was erased is as unknown as any other."""

    def __init__(self, id_: UUID, position: int = 0) -> None:
        super().__init__("id", f"there is no SMB {id_}", position)


class SmbDeleted(Refused):
    """The SMB is soft-deleted: it has to be restored before it can change."""

    def __init__(self, id_: UUID, position: int = 0) -> None:
        super().__init__("id", f"{id_} is deleted", position)


class SlugTaken(Refused):
    """Another SMB of the tenant that is not deleted has this slug; of a community, another one has it."""

    def __init__(self, slug: str, position: int = 0) -> None:
        super().__init__("slug", f"{slug!r} is taken", position)


class RevisionMismatch(Refused):
    """Somebody else has changed it since it was read."""

    def __init__(self, expected: int, present: int, position: int = 0) -> None:
        super().__init__("expected_revision", f"is at revision {present}, not {expected}", position)
        self.present = present


class CommunityTooLarge(Refused):
    """More SMBs belong to a community than one transaction may hold; they have to be moved away first."""

    def __init__(self, most: int) -> None:
        super().__init__("id", f"more than {most} SMBs belong to it, deleted ones included: move them first")
