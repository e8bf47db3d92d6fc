"""Imports and bulk updates: what is asked, and how far they are."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.api.models.smbs import CampaignStatus
from services.records.bulk.requests import IDS_MOST
from services.records.jobs import RecordJob
from services.records.profiles import Services, ShortText

Status = Literal["uploading", "waiting", "running", "finished", "failed"]


class Job(BaseModel):
    """A job over many SMBs. Of its rows (lines of a file, or SMBs) each that is done counts in one of the last four."""

    id: UUID
    status: Status
    dry_run: bool = Field(description="Counted, and nothing changed.")
    rows_total: int
    rows_done: int
    created: int
    updated: int
    unchanged: int
    refused: int = Field(description="Rows that could not be applied; an import's `errors` tell why.")
    failure: str | None = Field(description="Why nothing of it was done.")
    opened_at: datetime
    progressed_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, job: RecordJob) -> "Job":
        """Show a job."""
        return cls(**{name: getattr(job, name) for name in cls.model_fields})


class Filter(BaseModel):
    """Which SMBs: all for which everything holds that is given; nothing given: all of them."""

    model_config = ConfigDict(extra="forbid")

    engagement_tier: Annotated[int, Field(ge=1, le=4, strict=True)] | None = None
    campaign_status: CampaignStatus | None = None
    service_model: ShortText = None
    community_id: UUID | None = None
    contactable: Literal["email", "rvm"] | None = None
    q: ShortText = Field(default=None, description="A part of the name, in capital or small letters.")


class Changes(BaseModel):
    """Fields that make sense for many SMBs alike; what is left out stays, null clears."""

    model_config = ConfigDict(extra="forbid")

    industry_category: ShortText = None
    community_id: UUID | None = None
    service_model: ShortText = None
    services_activated: Services = ()
    email_opted_in: bool = Field(default=True, strict=True)
    sms_opted_in: bool = Field(default=False, strict=True)
    rvm_opted_in: bool = Field(default=False, strict=True)
    phone_opted_in: bool = Field(default=False, strict=True)
    do_not_contact: bool = Field(default=False, strict=True)


EXAMPLE: dict[str, JsonValue] = {
    "filter": {"engagement_tier": 4},
    "changes": {"service_model": "assisted"},
    "dry_run": True,
}


class BulkUpdateRequest(BaseModel):
    """A change, and whom it is for: SMBs by `ids`, or all that a `filter` leaves."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=IDS_MOST)
    filter: Filter | None = None
    changes: Changes = Field(description="At least one field.")
    dry_run: bool = Field(default=False, strict=True, description="Tell how many it concerns, and change nothing.")


class BulkUpdateAnswer(BaseModel):
    """Whom a bulk update concerns, and the job that does it; no job for a dry run."""

    matched: int = Field(description="SMBs that are asked for and there.")
    would_change: int = Field(description="Those of them that differ from what is asked.")
    job: Job | None


# What the document says of the body of an import, which is read as it arrives.
IMPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A CSV file with a header, a JSON array of objects, or (application/x-ndjson) one on each line.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "external_id,business_name,primary_email\ncrm-1,Café Alma,hello@cafe-alma.example\n",
            },
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [{"external_id": "crm-1", "business_name": "Café Alma"}],
            },
        },
    }
}
