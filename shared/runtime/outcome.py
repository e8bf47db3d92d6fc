"""What a handler returns: what to publish, and what became of each input."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from shared.runtime.database import Transaction
from shared.schemas.bad_message import BadMessage
from shared.schemas.envelope import Input
from shared.schemas.fields import SmbData
from shared.schemas.identity import SmbKey
from shared.schemas.shards import JobShard


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event about one SMB, not numbered yet; its type is the name of the data's class.

    `caused_at` is when the cause reached Kafka, for the metric event-to-published.
    """

    smb: SmbKey
    data: SmbData
    causation_id: str | None = None
    traceparent: str | None = None
    caused_at: datetime | None = None

    @classmethod
    def because(cls, cause: Input, smb: SmbKey, data: SmbData) -> Self:
        """Announce what one input led to."""
        return cls(smb, data, cause.id, cause.traceparent, cause.arrived_at)


@dataclass(frozen=True, slots=True)
class Copy:
    """A second record with the identity of an applied one. `differs`: its body or type is not the applied one's."""

    input: Input
    differs: bool


@dataclass(slots=True)
class Outcome:
    """What became of a batch. Each input counts in exactly one of the five ends.

    `repeated` counts all that were applied before; `copies` are those of them that stand elsewhere in Kafka than the
    applied one (the others were only delivered again).
    `touched` names SMBs whose state changed without an announcement, so that the runtime can note the moment.
    `rejected` inputs turned out bad under the lock (a command for an unknown SMB): the runtime parks them.
    """

    announcements: list[Announcement] = field(default_factory=list)
    shards: list[JobShard] = field(default_factory=list)
    touched: set[SmbKey] = field(default_factory=set)
    applied: int = 0
    repeated: int = 0
    copies: list[Copy] = field(default_factory=list)
    refused: int = 0
    erased: int = 0
    rejected: list[tuple[Input, BadMessage]] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Join the outcome of another part of the same batch."""
        self.announcements += other.announcements
        self.shards += other.shards
        self.touched |= other.touched
        self.applied += other.applied
        self.repeated += other.repeated
        self.copies += other.copies
        self.refused += other.refused
        self.erased += other.erased
        self.rejected += other.rejected


Handler = Callable[[Transaction, Sequence[Input], datetime], Awaitable[Outcome]]
