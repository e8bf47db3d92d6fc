"""What `verify` finds: a stored value that is not what the rules say. Each service compares what it owns."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy


class Difference(NamedTuple):
    """One stored value of one SMB and what it should be; `kind` counts it, `what` names it."""

    smb: SmbKey
    kind: str
    what: str
    stored: object
    computed: object


Check = Callable[[Transaction, Sequence[SmbKey], Policy], Awaitable[list[Difference]]]
"""Compares consecutive SMBs (sorted, at least one) in one snapshot that the transaction reads."""


def compare(smb: SmbKey, kind: str, pairs: dict[str, tuple[object, object]]) -> Iterator[Difference]:
    """Give a difference for each of `pairs` (what -> stored, computed) that is not equal."""
    for what, (stored, computed) in pairs.items():
        if stored != computed:
            yield Difference(smb, kind, what, stored, computed)
