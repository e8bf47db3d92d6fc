"""Schedule triggers on `smb.schedule`: one message starts one run of a job for all tenants.

The CloudEvents id identifies the run; `scheduled_for` labels it. Triggers have neither subject nor tenant, and their
Kafka key is the trigger's name.
"""

from pydantic import Field

from shared.schemas.fields import UtcTime, WireModel


class Trigger(WireModel):
    """What every trigger carries."""

    scheduled_for: UtcTime = Field(description="The moment for which the schedule asked; at most 5 minutes ahead.")


class AdvanceManifestDestinyDay(Trigger):
    """Refresh day, next send, due starts and completions of all campaigns."""


class RecalculateEngagementScores(Trigger):
    """Compute every score as of now."""


class EvaluateTierTransitions(Trigger):
    """Compare every score with its SMB's tier."""


class CleanupDeletedSMBs(Trigger):
    """Remove what was deleted more than 90 days ago."""


class RecalculateDataQuality(Trigger):
    """Compute every data quality score anew."""


TRIGGERS: tuple[type[Trigger], ...] = (
    AdvanceManifestDestinyDay,
    RecalculateEngagementScores,
    EvaluateTierTransitions,
    CleanupDeletedSMBs,
    RecalculateDataQuality,
)
