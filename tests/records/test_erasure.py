"""Erasure: of a message that still waited when its SMB was erased, nothing is kept once readers have it."""

import uuid
from collections.abc import Sequence

from services.records import erasure
from shared.runtime import outbox_queue
from shared.runtime.batch import transact
from shared.runtime.outbox_queue import OutgoingMessage
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import OptionalEmailChange, ProfileChanges, SMBUpdated
from shared.schemas.identity import SmbKey
from tests.installation import Installation, eventually

KEPT = "SELECT type FROM outgoing_messages WHERE (tenant_id, smb_id) = ($1, $2) ORDER BY id"
PERSONAL = "owner@example.test"


async def tell(installation: Installation, smb: SmbKey) -> None:
    changes = ProfileChanges(primary_email=OptionalEmailChange(old=None, new=PERSONAL))
    outcome = Outcome(announcements=[Announcement(smb, SMBUpdated(smb_id=smb.smb_id, changes=changes))])

    async def act(*_: object) -> Outcome:
        return outcome

    await transact(installation.database, installation.topics, [smb], act)


async def erase(installation: Installation, smb: SmbKey) -> None:
    await transact(
        installation.database,
        installation.topics,
        [smb],
        lambda transaction, now: erasure.erase(transaction, [smb], now),
    )


async def kept(installation: Installation, smb: SmbKey) -> list[str]:
    return [row["type"] for row in await installation.fetch(KEPT, *smb)]


async def waiting(installation: Installation, smbs: Sequence[SmbKey]) -> list[OutgoingMessage]:
    keys = {str(smb.smb_id).encode() for smb in smbs}
    return [one for one in await outbox_queue.oldest(installation.database, 100) if one.key in keys]


async def test_what_waited_goes_with_the_acknowledgement_of_the_erasure(installation: Installation) -> None:
    erased, other, elsewhere = await installation.add_smbs(3, uuid.uuid4())
    for smb in (erased, other, erased):
        await tell(installation, smb)
    await erase(installation, erased)
    await tell(installation, elsewhere)
    messages = await waiting(installation, [erased, other, elsewhere])
    assert [one.type for one in messages] == ["SMBUpdated"] * 3 + ["SMBErased", "SMBUpdated"]
    # Acknowledged before the erasure: still part of the story that readers are promised.
    await outbox_queue.delete(installation.database, messages[:1])
    assert await kept(installation, erased) == ["SMBUpdated", "SMBUpdated", "SMBErased"]
    for _ in range(2):
        await outbox_queue.delete(installation.database, messages[1:])
    assert await kept(installation, erased) == ["SMBErased"]
    assert await kept(installation, other) == await kept(installation, elsewhere) == ["SMBUpdated"]


async def test_readers_get_every_number_of_an_erased_smb(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    for _ in range(3):
        await tell(installation, smb)
    await erase(installation, smb)
    worker = installation.start("engagement")
    await installation.idle()
    told = await installation.announcements(smb)
    assert [(one["type"], one["sequence"]) for one in told] == [
        *(("SMBUpdated", str(number)) for number in (1, 2, 3)),
        ("SMBErased", "4"),
    ]
    await eventually(lambda: only_the_erasure(installation, smb), "what was told is gone")
    assert worker.terminate() == 0


async def only_the_erasure(installation: Installation, smb: SmbKey) -> bool:
    return await kept(installation, smb) == ["SMBErased"]
