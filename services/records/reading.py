"""SMBs as they are stored now, with every field that the requirements name."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import RowMapping, text

from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey

# The lists as jsonb arrive as Python values; score and last moments stand in the head.
LISTED_COLUMNS = """
    smb.tenant_id, smb.id, smb.community_id, smb.slug, smb.external_id, smb.business_name, smb.primary_email,
    smb.primary_phone, smb.industry_category, smb.business_description, smb.engagement_tier,
    head.engagement_score, head.engagement_scored_on, smb.campaign_status, smb.current_campaign_id,
    smb.manifest_destiny_day, smb.manifest_destiny_start_date, smb.next_scheduled_send, smb.service_model,
    smb.services_activated, smb.services_approved_pending, smb.email_opted_in, smb.sms_opted_in, smb.rvm_opted_in,
    smb.phone_opted_in, smb.do_not_contact, smb.data_quality_score, head.last_email_open, head.last_email_click,
    head.last_content_view, head.last_approval, smb.created_at, smb.updated_at, smb.deleted_at, smb.revision
"""
SMB_COLUMNS = f"{LISTED_COLUMNS}, smb.business_context"
WITH_HEAD = "smbs AS smb JOIN smb_heads AS head ON head.tenant_id = smb.tenant_id AND head.smb_id = smb.id"
READ_BY_ID = text(f"SELECT {SMB_COLUMNS} FROM {WITH_HEAD} WHERE smb.tenant_id = :tenant_id AND smb.id = :id")  # noqa: S608
READ_BY_SLUG = text(
    f"""
    SELECT {SMB_COLUMNS} FROM {WITH_HEAD}
    WHERE smb.tenant_id = :tenant_id AND smb.slug = :slug AND smb.deleted_at IS NULL
    """,  # noqa: S608  constants of this module
)


@dataclass(frozen=True, slots=True)
class ListedSmb:
    """An SMB as it is stored, without its business context, which may be long. `revision` counts profile changes."""

    tenant_id: UUID
    id: UUID
    community_id: UUID | None
    slug: str
    external_id: str | None
    business_name: str
    primary_email: str | None
    primary_phone: str | None
    industry_category: str | None
    business_description: str | None
    engagement_tier: int
    engagement_score: int
    engagement_scored_on: date | None
    campaign_status: str
    current_campaign_id: UUID | None
    manifest_destiny_day: int | None
    manifest_destiny_start_date: date | None
    next_scheduled_send: datetime | None
    service_model: str | None
    services_activated: list[str]
    services_approved_pending: list[str]
    email_opted_in: bool
    sms_opted_in: bool
    rvm_opted_in: bool
    phone_opted_in: bool
    do_not_contact: bool
    data_quality_score: int
    last_email_open: datetime | None
    last_email_click: datetime | None
    last_content_view: datetime | None
    last_approval: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    revision: int

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """Make one of a row with the columns."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    @property
    def key(self) -> SmbKey:
        """The SMB's identity."""
        return SmbKey(self.tenant_id, self.id)

    @property
    def is_in_campaign(self) -> bool:
        """Whether a campaign runs."""
        return self.campaign_status == "running"

    @property
    def can_contact_via_email(self) -> bool:
        """Opted in, not do-not-contact, and there is an address."""
        return self.email_opted_in and not self.do_not_contact and self.primary_email is not None

    @property
    def can_contact_via_rvm(self) -> bool:
        """Likewise for ringless voicemail, with a phone."""
        return self.rvm_opted_in and not self.do_not_contact and self.primary_phone is not None


@dataclass(frozen=True, slots=True)
class SmbRecord(ListedSmb):
    """An SMB, whole."""

    business_context: dict[str, Any]


async def read_smb(transaction: Transaction, smb: SmbKey, *, deleted_too: bool = False) -> SmbRecord | None:
    """Give an SMB; None when its tenant has none such, or it is soft-deleted and `deleted_too` is not set."""
    found = (
        (await transaction.execute(READ_BY_ID, {"tenant_id": smb.tenant_id, "id": smb.smb_id})).mappings().one_or_none()
    )
    if found is None or (found["deleted_at"] is not None and not deleted_too):
        return None
    return SmbRecord.of(found)


async def read_smb_by_slug(transaction: Transaction, tenant_id: UUID, slug: str) -> SmbRecord | None:
    """Give the SMB of a tenant that has this slug and is not deleted."""
    found = (await transaction.execute(READ_BY_SLUG, {"tenant_id": tenant_id, "slug": slug})).mappings().one_or_none()
    return None if found is None else SmbRecord.of(found)
