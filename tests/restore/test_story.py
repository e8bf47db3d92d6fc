"""What after-restore believes of `smb.events`: our own announcements, and nothing that others put there."""

import uuid
from datetime import UTC, datetime

import pytest

from services.restore.story import read_story
from shared.runtime.positions import Positions
from shared.schemas.announcements import SMBErased
from shared.schemas.encoding import encode_announcement
from shared.schemas.identity import SmbKey
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC
from tests.commands import succeeds
from tests.installation import Installation, Message

OURS = "/modules/smb-crm"
FOREIGN = "/modules/campaigns"
# What four bytes hold: the epoch above it would not fit.
INT4_MAX = 2**31 - 1
LONGEST = 10**18 - 1


def erased(epoch: int, *sources: str) -> Message:
    """An erasure under an epoch that says to come from these sources."""
    smb = SmbKey(uuid.uuid4(), uuid.uuid4())
    encoded = encode_announcement(
        SMBErased(smb_id=smb.smb_id), tenant_id=smb.tenant_id, epoch=epoch, sequence=1, time=datetime.now(UTC)
    )
    headers = [one for one in encoded.headers if one[0] != "ce_source"]
    headers += [("ce_source", source.encode()) for source in sources]
    return Message(ANNOUNCEMENTS_TOPIC, encoded.value, str(smb.smb_id).encode(), headers)


@pytest.fixture(scope="module")
async def topic(installation: Installation) -> Installation:
    """An installation with announcements of ours, and with what others put beside them."""
    await installation.publish(
        [
            erased(7, OURS),
            erased(3, OURS),
            erased(900, FOREIGN),
            erased(901),
            erased(902, OURS, FOREIGN),
            erased(903, FOREIGN, OURS),
            erased(LONGEST, FOREIGN),
            erased(INT4_MAX, OURS),
            erased(LONGEST, OURS),
        ]
    )
    return installation


async def test_the_epoch_is_the_highest_of_our_own_announcements_that_the_database_can_hold(
    topic: Installation,
) -> None:
    async with Positions(topic.settings) as positions:
        story = await read_story(topic.settings, positions, datetime.fromtimestamp(0, UTC))

    assert (story.messages, story.epoch) == (9, 7)


async def test_after_restore_raises_the_epoch_just_above_it(topic: Installation) -> None:
    report = (await succeeds(topic.environment, "after-restore", "--json")).document

    assert report["epoch"] == 8
