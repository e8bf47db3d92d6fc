"""Campaign sends: the messages of campaigns that an SMB reacted to, newest first.

A message that nobody reacted to is not known here: the modules that send tell what came of a message, not of sending.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from services.engagement.views import store
from services.engagement.views.store import SendPosition
from shared.runtime.database import Transaction
from shared.runtime.pages import Page, rows_to_read
from shared.schemas.identity import SmbKey

# The newest reactions of each kind that sends are told by. No SMB has as many in years of campaigns; one that is
# flooded with them must not make the database read them all.
REACTIONS_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Send:
    """One message of a campaign, by the sender's ids, with the reactions to it.

    `channel` is email or rvm, `reference` its message_id or drop_id. `opened`, `clicked` and `delivered` count events.
    """

    channel: str
    campaign_id: str
    reference: str
    first_at: datetime
    last_at: datetime
    opened: int
    clicked: int
    delivered: int

    @property
    def position(self) -> SendPosition:
        """Where it stands."""
        return SendPosition(self.first_at, self.channel, self.campaign_id, self.reference)


@dataclass(frozen=True, slots=True)
class Sends:
    """A page of sends; `is_cut` when there are more than 20,000 reactions of a kind: the older ones are left out."""

    page: Page[Send, SendPosition]
    is_cut: bool


_TOP = SendPosition(datetime.max.replace(tzinfo=UTC), "", "", "")


async def campaign_sends(
    transaction: Transaction,
    smb: SmbKey,
    size: int,
    *,
    after: SendPosition | None = None,
    reactions_most: int = REACTIONS_MOST,
) -> Sends:
    """Give a page of at most `size` sends behind the position `after`, or the newest.

    Reactions that tell no campaign belong to none. Raises ValueError for a size beyond 1 to 200.
    """
    rows, is_cut = await store.read_sends(
        transaction, smb, after=after or _TOP, at_most=rows_to_read(size), reactions_most=reactions_most
    )
    return Sends(Page.of([_send(row) for row in rows], size, lambda send: send.position), is_cut)


def _send(row: Row[Any]) -> Send:
    return Send(
        channel=row.channel,
        campaign_id=row.campaign_id,
        reference=row.reference,
        first_at=row.first_at,
        last_at=row.last_at,
        opened=row.opened,
        clicked=row.clicked,
        delivered=row.delivered,
    )
