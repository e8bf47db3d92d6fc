"""No foreign key ties events to a head, so `verify` looks also where there is none."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from services.verify import verify
from shared.runtime.database import Database
from shared.runtime.differences import Difference
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.verify.examples import differences

HIGHEST = 2**128 - 1
TENANT, OTHER = UUID(int=1 << 64), UUID(int=1 << 80)


def key(smb: int, tenant_id: UUID = TENANT) -> SmbKey:
    return SmbKey(tenant_id, UUID(int=smb))


HEADS = [key(0), key(10), key(11), key(20), key(HIGHEST), key(10, OTHER)]
# Before, between and after the heads, at the ends of the tenants, and in tenants that have no head at all.
LOST = sorted(
    [
        SmbKey(UUID(int=0), UUID(int=0)),
        SmbKey(UUID(int=HIGHEST), UUID(int=HIGHEST)),
        SmbKey(UUID(int=(1 << 64) + 1), UUID(int=5)),
        *(key(number) for number in (1, 9, 12, 19, 21, HIGHEST - 1)),
        *(key(number, OTHER) for number in (0, 9, 11, HIGHEST)),
    ]
)
EVENT = """
INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
    partition_number, kind, source, event_id, reference)
SELECT $1, $2, gen_random_uuid(), now(), now(), 0, 0, 'email_opened', '/test', number::text, 'message'
FROM generate_series(1, 2) AS number
"""


@pytest.fixture(scope="module")
async def database_with_lost_events(database: Database, database_url: str) -> Database:
    connection = await asyncpg.connect(database_url)
    await connection.executemany("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", HEADS)
    await connection.executemany(EVENT, LOST)
    await connection.close()
    return database


def lost(smbs: Sequence[SmbKey]) -> list[Difference]:
    return [Difference(smb, "score", "events of an SMB without a head", 2, 0) for smb in smbs]


@pytest.mark.parametrize("chunk_smbs", [1, 2, 3, 5, 6, 7, 1000])
async def test_each_is_found_once_wherever_it_lies_between_the_heads(
    database_with_lost_events: Database, chunk_smbs: int
) -> None:
    assert await differences(database_with_lost_events, chunk_smbs=chunk_smbs) == lost(LOST)


@pytest.mark.parametrize("chunk_smbs", [1, 2, 1000])
@pytest.mark.parametrize("tenant_id", [TENANT, OTHER, UUID(int=(1 << 64) + 1), UUID(int=HIGHEST), UUID(int=99)])
async def test_a_tenant_is_told_of_its_own(
    database_with_lost_events: Database, tenant_id: UUID, chunk_smbs: int
) -> None:
    own = [smb for smb in LOST if smb.tenant_id == tenant_id]
    assert await differences(database_with_lost_events, chunk_smbs=chunk_smbs, tenant_id=tenant_id) == lost(own)


async def test_they_count_among_the_smbs_that_were_checked(database_with_lost_events: Database) -> None:
    counted: list[int] = []
    found = await verify(database_with_lost_events, Policy.default(), on_progress=counted.append)
    assert (found.smbs_checked, found.smbs_differing) == (len(HEADS) + len(LOST), len(LOST))
    assert sum(counted) == len(HEADS)
