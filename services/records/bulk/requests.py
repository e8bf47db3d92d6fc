"""What may be changed of many SMBs at once, and of whom."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from services.records.errors import InvalidField
from services.records.filters import SmbFilter
from services.records.profiles import Services, ShortText, invalid_field

IDS_MOST = 10_000


class BulkChange(BaseModel):
    """Fields that make sense for many SMBs alike; what is not given stays, null clears.

    Names, addresses and phones are an SMB's own, so they are changed one by one or by an import.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    industry_category: ShortText = None
    community_id: UUID | None = None
    service_model: ShortText = None
    services_activated: Services = ()
    email_opted_in: bool = True
    sms_opted_in: bool = False
    rvm_opted_in: bool = False
    phone_opted_in: bool = False
    do_not_contact: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """The fields to change and their new values."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class BulkUpdate(BaseModel):
    """A change and whom it is for: SMBs by their ids, or all that a filter leaves."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)

    tenant_id: UUID
    changes: BulkChange
    wanted: SmbFilter | None = None
    ids: tuple[UUID, ...] | None = None


def bulk_update_from(
    tenant_id: UUID,
    changes: Mapping[str, Any],
    *,
    ids: Sequence[UUID] | None = None,
    wanted: SmbFilter | None = None,
) -> BulkUpdate:
    """Give the request that says this. An id that comes twice counts once. Raises InvalidField."""
    if (ids is None) == (wanted is None):
        raise InvalidField("ids", "give either ids or a filter")
    if ids is not None and not 1 <= len(ids) <= IDS_MOST:
        raise InvalidField("ids", f"give 1 to {IDS_MOST:,} of them")
    try:
        change = BulkChange(**changes)
    except ValidationError as error:
        raise invalid_field(error) from None
    if not change.model_fields_set:
        raise InvalidField("changes", "name at least one field")
    distinct = None if ids is None else tuple(sorted(set(ids)))
    return BulkUpdate(tenant_id=tenant_id, changes=change, wanted=wanted, ids=distinct)
