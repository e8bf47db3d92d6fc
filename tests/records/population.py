"""Many SMBs of all kinds at once, with much in common, as lists have to cope with."""

import uuid

from tests.records.desk import RecordsDesk

HEADS = """
INSERT INTO smb_heads (tenant_id, smb_id, engagement_score)
SELECT $1, gen_random_uuid(), number % 1009 * 7919 % 101 FROM generate_series(1, $2) AS number
"""
# Tier 1, paused campaigns and managed SMBs are one in a hundred. Whatever
# is the same for two SMBs in one column differs in another.
SMBS = """
INSERT INTO smbs (tenant_id, id, community_id, slug, business_name, primary_email, primary_phone, engagement_tier,
    campaign_status, current_campaign_id, manifest_destiny_day, manifest_destiny_start_date, next_scheduled_send,
    service_model, email_opted_in, rvm_opted_in, do_not_contact, created_at, updated_at, deleted_at)
SELECT tenant_id, smb_id, ($2::uuid[])[1 + number % cardinality($2::uuid[])], 'smb-' || number,
    (ARRAY['alma', 'Alma', 'BERTA', 'Berta 100%', 'caro', 'Dora_'])[1 + number % 6] || ' ' || number / 40,
    CASE WHEN number % 3 > 0 THEN number || '@example.test' END, CASE WHEN number % 4 > 0 THEN '+12125550100' END,
    CASE WHEN number % 100 = 1 THEN 1 ELSE 2 + number % 3 END, status,
    CASE WHEN status IN ('scheduled', 'running', 'paused') THEN smb_id END,
    CASE WHEN status NOT IN ('draft', 'scheduled') THEN 1 + number % 90 END,
    CASE WHEN status <> 'draft' THEN date '2026-03-01' END,
    CASE WHEN status = 'running' THEN timestamptz '2026-03-01 09:00Z' + number / 50 * interval '1 hour' END,
    CASE WHEN number % 100 = 2 THEN 'managed' WHEN number % 3 = 0 THEN 'self-service' END,
    number % 5 > 0, number % 7 = 0,
    number % 11 = 0 AND status NOT IN ('scheduled', 'running'),
    timestamptz '2026-01-01Z' + number / 30 * interval '1 minute',
    timestamptz '2026-02-01Z' - number / 30 * interval '1 s',
    CASE WHEN number % 50 = 0 AND status NOT IN ('scheduled', 'running', 'paused') THEN now() END
FROM (
    SELECT *, CASE WHEN number % 100 = 3 THEN 'paused' ELSE
        (ARRAY['draft', 'scheduled', 'running', 'completed', 'cancelled'])[1 + number / 4 % 5] END AS status
    FROM (SELECT *, row_number() OVER (ORDER BY smb_id) AS number FROM smb_heads WHERE tenant_id = $1) AS numbered
) AS head
"""


async def populate(desk: RecordsDesk, count: int, communities: int = 2) -> list[uuid.UUID]:
    """Give the desk's tenant so many SMBs in so many communities, whose ids are returned."""
    ids = [(await desk.add_community(f"Town {number}")).id for number in range(communities)]
    await desk.fetch(HEADS, desk.tenant_id, count)
    await desk.fetch(SMBS, desk.tenant_id, ids)
    return ids
