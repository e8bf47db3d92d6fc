"""Lists of SMBs and communities, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.records import community_store, listing_store
from services.records.community_store import CommunityRecord
from services.records.cursors import Cursor
from services.records.filters import EVERY_SMB, SmbFilter
from services.records.listing_store import SORTS, Part, Sort
from services.records.reading import ListedSmb
from shared.runtime.database import Transaction
from shared.runtime.pages import Page, rows_to_read


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted. SMBs without a next send come last in both directions."""

    sort: Sort = Sort.NAME
    descending: bool = False


BY_NAME = Order()


async def list_smbs(  # noqa: PLR0913  which part of which list
    transaction: Transaction,
    tenant_id: UUID,
    size: int,
    wanted: SmbFilter = EVERY_SMB,
    order: Order = BY_NAME,
    *,
    cursor: str | None = None,
) -> Page[ListedSmb, str]:
    """Give a page of at most `size` SMBs, from the beginning or from where the cursor of the page before says.

    Rows that come, go or move meanwhile may be on any page or on none; one that stays as it is, is on exactly one.
    Raises InvalidField for a cursor of another list, ValueError for a size beyond 1 to 200.
    """
    of_list = name_of_list(tenant_id, wanted, order)
    after = None if cursor is None else Cursor.decode(cursor, of_list, SORTS[order.sort].kind)
    parts = _parts(wanted, order, after)
    await listing_store.plan_by_values(transaction)
    found: list[tuple[ListedSmb, Cursor]] = []
    for part in parts:
        rows = await listing_store.read_page(
            transaction,
            tenant_id,
            wanted,
            order.sort,
            part,
            descending=order.descending,
            after=after if part is parts[0] else None,
            at_most=rows_to_read(size) - len(found),
        )
        found += [(ListedSmb.of(row), Cursor(row["value"], row["id"])) for row in rows]
        if len(found) > size:
            break
    page = Page.of(found, size, lambda entry: entry[1].encode(of_list))
    return Page([smb for smb, _ in page.entries], page.last)


def name_of_list(tenant_id: UUID, wanted: SmbFilter = EVERY_SMB, order: Order = BY_NAME) -> str:
    """What the cursors of a list belong to."""
    return f"smbs {tenant_id} {order.sort} {order.descending} {wanted.model_dump_json()}"


def _parts(wanted: SmbFilter, order: Order, after: Cursor | None) -> Sequence[Part]:
    """Give the parts that a page may reach into; only running campaigns have a next send."""
    if order.sort is not Sort.NEXT_SEND:
        return [Part.ALL]
    if wanted.campaign_status not in (None, "running") or (after is not None and after.value is None):
        return [Part.WITHOUT_VALUE]
    return [Part.WITH_VALUE] if wanted.campaign_status else [Part.WITH_VALUE, Part.WITHOUT_VALUE]


async def list_communities(
    transaction: Transaction, tenant_id: UUID, size: int, *, cursor: str | None = None
) -> Page[CommunityRecord, str]:
    """Give a page of at most `size` communities by name; otherwise the same as `list_smbs`."""
    of_list = f"communities {tenant_id}"
    after = None if cursor is None else Cursor.decode(cursor, of_list, str)
    found = await community_store.read_communities(transaction, tenant_id, after, rows_to_read(size))
    page = Page.of(found, size, lambda entry: entry[1].encode(of_list))
    return Page([community for community, _ in page.entries], page.last)
