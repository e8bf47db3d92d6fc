"""Lists of SMBs: what can be asked, and what they give."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.models.smbs import CampaignStatus
from services.api.paging import CURSOR_MAX_CHARACTERS, LIMIT_DEFAULT
from services.records.listing import Order
from services.records.listing_store import Sort
from shared.runtime.pages import PAGE_MAX_ENTRIES

SortText = Annotated[str, Field(pattern=f"^-?({'|'.join(sort.value for sort in Sort)})$", examples=["-score"])]


class CommunityListQuery(BaseModel):
    """Filters, order and page for one community; all filters that are given hold at once."""

    model_config = ConfigDict(extra="forbid")

    engagement_tier: Annotated[int, Field(ge=1, le=4)] | None = None
    campaign_status: CampaignStatus | None = None
    service_model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    contactable: Literal["email", "rvm"] | None = Field(
        default=None, description="Opted in, not do-not-contact, and with an address or phone."
    )
    q: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="A part of the name, in capital or small letters."
    )
    sort: SortText = Field(
        default="name",
        description="Ascending, or descending with a dash. By score there is no index: it changes with every event.",
    )
    limit: int = Field(default=LIMIT_DEFAULT, ge=1, le=PAGE_MAX_ENTRIES, description="The most entries of a page.")
    cursor: str | None = Field(
        default=None,
        max_length=CURSOR_MAX_CHARACTERS,
        description="`next_cursor` of the page before, with the same filters and order.",
    )

    @property
    def order(self) -> Order:
        """The order asked for."""
        return Order(Sort(self.sort.removeprefix("-")), descending=self.sort.startswith("-"))


class ListQuery(CommunityListQuery):
    """The same for all SMBs."""

    community_id: UUID | None = None
