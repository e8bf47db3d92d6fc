"""Shards of job runs on the internal topic `smb.job-shards`: one message, one key range of SMBs, one transaction.

Each job has a message type of its own (`<job>Shard`), so that a service passes over the shards of another's job by
their type alone.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.schemas.fields import WireModel
from shared.schemas.identity import SmbKey

JOB = "Name of the trigger that began the run."


class SmbBound(WireModel):
    """One end of a key range."""

    tenant_id: UUID = Field(description="The tenant; ranges are ordered by tenant, then by SMB.")
    smb_id: UUID = Field(description="The SMB.")

    @classmethod
    def of(cls, smb: SmbKey) -> "SmbBound":
        """Return the bound that stands at an SMB."""
        return cls(tenant_id=smb.tenant_id, smb_id=smb.smb_id)

    @property
    def key(self) -> SmbKey:
        """The bound as a key."""
        return SmbKey(self.tenant_id, self.smb_id)


class JobShard(WireModel):
    """A key range of SMBs that one transaction of a job run handles; both bounds belong to it."""

    job: str = Field(description=JOB)
    run_id: UUID = Field(description="The run, as in `job_runs`.")
    number: int = Field(ge=1, le=2**31 - 1, description="Which shard of the run, from 1.")
    first: SmbBound = Field(description="Lowest SMB of the range, included.")
    last: SmbBound = Field(description="Highest SMB of the range, included.")


class AdvanceManifestDestinyDayShard(JobShard):
    """Shard of the daily campaign refresh."""

    job: Literal["AdvanceManifestDestinyDay"] = Field(default="AdvanceManifestDestinyDay", description=JOB)


class RecalculateEngagementScoresShard(JobShard):
    """Shard of the nightly scoring."""

    job: Literal["RecalculateEngagementScores"] = Field(default="RecalculateEngagementScores", description=JOB)


class EvaluateTierTransitionsShard(JobShard):
    """Shard of the nightly tier evaluation."""

    job: Literal["EvaluateTierTransitions"] = Field(default="EvaluateTierTransitions", description=JOB)


class CleanupDeletedSMBsShard(JobShard):
    """Shard of the weekly cleanup."""

    job: Literal["CleanupDeletedSMBs"] = Field(default="CleanupDeletedSMBs", description=JOB)


class RecalculateDataQualityShard(JobShard):
    """Shard of the weekly data quality run."""

    job: Literal["RecalculateDataQuality"] = Field(default="RecalculateDataQuality", description=JOB)


SHARDS: dict[str, type[JobShard]] = {
    "AdvanceManifestDestinyDay": AdvanceManifestDestinyDayShard,
    "RecalculateEngagementScores": RecalculateEngagementScoresShard,
    "EvaluateTierTransitions": EvaluateTierTransitionsShard,
    "CleanupDeletedSMBs": CleanupDeletedSMBsShard,
    "RecalculateDataQuality": RecalculateDataQualityShard,
}


def shard_of(job: str, run_id: UUID, number: int, first: SmbKey, last: SmbKey) -> JobShard:
    """Return the shard message of a job; `job` is the trigger's name, both bounds belong to the range.

    Raises KeyError when no job has that name.
    """
    model = SHARDS[job]
    return model.model_validate(
        {"job": job, "run_id": run_id, "number": number, "first": SmbBound.of(first), "last": SmbBound.of(last)}
    )
