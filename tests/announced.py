"""An announcement that stands for any other: it tells something of an SMB and leads to nothing."""

from shared.runtime.outcome import Announcement
from shared.schemas.announcements import SMBTierChanged
from shared.schemas.identity import SmbKey

TYPE = SMBTierChanged.__name__


def announcement_of(smb: SmbKey) -> Announcement:
    """Say that an SMB's tier has changed."""
    data = SMBTierChanged(
        smb_id=smb.smb_id,
        old_tier=4,
        new_tier=3,
        old_tier_name="Passive",
        new_tier_name="Moderate",
        direction="upgrade",
        score=40,
        reason="a test",
    )
    return Announcement(smb, data, causation_id="cause")
