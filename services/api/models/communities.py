"""Communities, as the API takes and gives them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.records.changes import Slug
from services.records.community_store import CommunityRecord, CommunityStats
from services.records.profiles import POPULATION_MAX, JsonObject, Name, ShortText, State, Zone

EXAMPLE: dict[str, JsonValue] = {
    "name": "Harlem",
    "state": "NY",
    "county": "New York",
    "population": 116_000,
    "timezone": "America/New_York",
}


class Community(BaseModel):
    """One community. The `ETag` counts its changes."""

    id: UUID
    slug: str = Field(description="Readable name in addresses, unique in the tenant.", examples=["harlem"])
    name: str = Field(examples=["Harlem"])
    state: str = Field(description="Two letters.", examples=["NY"])
    county: str | None
    population: int | None
    timezone: str | None = Field(description="IANA name; null stands for UTC.", examples=["America/New_York"])
    settings: dict[str, JsonValue]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: CommunityRecord) -> "Community":
        """Show a record."""
        values = asdict(record)
        del values["tenant_id"], values["revision"]
        return cls.model_construct(**values)


class Stats(BaseModel):
    """The SMBs of a community that are not deleted, counted."""

    smbs: int
    active: int = Field(description="With a running campaign.")
    by_tier: dict[str, int] = Field(description="By tier, 1 (best) to 4.", examples=[{"1": 3, "2": 5, "3": 9, "4": 40}])
    by_campaign_status: dict[str, int]
    mean_score: float | None = Field(description="With two decimals; null where there is no SMB.")
    contactable_by_email: int
    contactable_by_rvm: int

    @classmethod
    def of(cls, stats: CommunityStats) -> "Stats":
        """Show what was counted."""
        values = asdict(stats)
        return cls(**values | {"by_tier": {str(tier): smbs for tier, smbs in stats.by_tier.items()}})


class CommunityProfile(BaseModel):
    """What can be said of a community."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    state: State = Field(description="Two letters.")
    county: ShortText = None
    population: Annotated[int, Field(ge=0, le=POPULATION_MAX, strict=True)] | None = None
    timezone: Zone = Field(default=None, description="IANA name; its SMBs' campaigns send at this zone's 09:00.")
    settings: JsonObject = Field(default_factory=dict)


class CommunityToCreate(CommunityProfile):
    """A new community; its slug is made from its name."""

    id: UUID | None = Field(default=None, description="Made here unless given.")


class CommunityToReplace(CommunityProfile):
    """A whole community instead of the present one; the slug stays unless it is given."""

    slug: Slug | None = None


class CommunityToChange(CommunityProfile):
    """Some fields: what is left out stays, null clears."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"timezone": "America/Chicago"}]})

    name: Name = ""
    state: State = ""
    slug: Slug = ""
