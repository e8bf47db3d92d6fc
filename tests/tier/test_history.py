"""The history of an SMB's tier: every change, newest first, page by page."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.tier.history import PastChange, tier_changes
from shared.runtime.database import Database
from shared.runtime.pages import Page
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.tier.desk import TierDesk

SCORES = (45, 90, 62, 12, 70)


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Database]:
    """The database as the API's role."""
    database = Database.create(database_url, role="smb_api")
    yield database
    await database.close()


async def page(api: Database, smb: SmbKey, size: int, after: int | None = None) -> Page[PastChange, int]:
    async with api.of(smb.tenant_id).transaction() as transaction:
        return await tier_changes(transaction, smb, size, after=after)


async def test_every_change_is_there_once_newest_first(api: Database, desk: TierDesk) -> None:
    smb, other = await desk.add(score=0), await desk.add(score=85)
    await desk.hint(other)
    for score in SCORES:
        await desk.set_score(smb, score)
        await desk.hint(smb)
    whole = await page(api, smb, 200)
    assert [(one.old_tier, one.new_tier, one.score, one.direction) for one in whole.entries] == [
        (4, 2, 70, "upgrade"),
        (2, 4, 12, "downgrade"),
        (1, 2, 62, "downgrade"),
        (3, 1, 90, "upgrade"),
        (4, 3, 45, "upgrade"),
    ]
    assert {(one.reason, one.policy_version) for one in whole.entries} == {
        ("engagement changed", Policy.default().version)
    }
    assert whole.last is None

    seen: list[PastChange] = []
    found = await page(api, smb, 2)
    for score in (0, 90):  # changes that come meanwhile belong on a page that was shown
        seen += found.entries
        await desk.set_score(smb, score)
        await desk.hint(smb)
        found = await page(api, smb, 2, found.last)
    assert seen + list(found.entries) == whole.entries
    assert found.last is None


async def test_the_history_is_its_tenants_alone(api: Database, desk: TierDesk) -> None:
    smb = await desk.add(score=85)
    await desk.hint(smb)
    assert (await page(api, SmbKey(uuid4(), smb.smb_id), 10)).entries == []
    assert len((await page(api, smb, 10)).entries) == 1
