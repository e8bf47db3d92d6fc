"""Engagement events and tier changes.

`engagement_events` keeps every event of the other modules: the timeline, the approval history, the content-view
history and the only source of the score. It is partitioned by a hash of the SMB, so that vacuum and growth are spread
and all events of one SMB lie in one partition.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PARTITIONS = 16

KIND = """
CREATE TYPE engagement_kind AS ENUM (
    'email_opened', 'rvm_delivered', 'email_clicked', 'callback_received', 'content_viewed', 'content_completed',
    'approval_approved', 'approval_rejected')
"""

EVENTS = """
CREATE TABLE engagement_events (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    event_key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    seconds double precision CHECK (seconds BETWEEN 0 AND 1e9),
    partition_offset bigint NOT NULL,
    partition_number integer NOT NULL,
    kind engagement_kind NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    reference text NOT NULL,
    campaign_reference text,
    service text,
    url text,
    phone text,
    PRIMARY KEY (tenant_id, smb_id, event_key),
    CONSTRAINT approvals_name_a_service CHECK (
        (service IS NOT NULL) = (kind IN ('approval_approved', 'approval_rejected'))),
    CONSTRAINT clicks_name_a_url CHECK ((url IS NOT NULL) = (kind = 'email_clicked'))
) PARTITION BY HASH (smb_id)
"""

COMMENTS = (
    "COMMENT ON COLUMN engagement_events.event_key IS 'uuid of CloudEvents source and id: the event''s identity'",
    "COMMENT ON COLUMN engagement_events.reference IS 'message, drop, content, approval or call id, by kind'",
    "COMMENT ON COLUMN engagement_events.seconds IS 'seconds viewed, or duration of a voicemail or call'",
)

# An inserted page is vacuumed soon, so that scores are read from the index alone (its visibility map is set).
PARTITION = """
CREATE TABLE engagement_events_{number} PARTITION OF engagement_events
FOR VALUES WITH (MODULUS {modulus}, REMAINDER {number})
WITH (autovacuum_vacuum_insert_scale_factor = 0.02)
"""

# The score: per SMB one range; per kind of a hot SMB the newest few. The timeline merges the kinds, newest first.
SCORING_INDEX = "CREATE INDEX engagement_events_scoring ON engagement_events (tenant_id, smb_id, kind, occurred_at)"

TIER_CHANGES = """
CREATE TABLE tier_changes (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    changed_at timestamptz NOT NULL,
    old_tier smallint NOT NULL CHECK (old_tier BETWEEN 1 AND 4),
    new_tier smallint NOT NULL CHECK (new_tier BETWEEN 1 AND 4),
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    reason text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 200),
    policy_version text NOT NULL,
    PRIMARY KEY (tenant_id, smb_id, id),
    CHECK (old_tier <> new_tier)
)
"""

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON engagement_events TO smb_worker",
    "GRANT SELECT, INSERT, DELETE ON tier_changes TO smb_worker",
)


def upgrade() -> None:
    """Create the event store and the history of tiers."""
    for statement in (KIND, EVENTS, *COMMENTS):
        op.execute(statement)
    for number in range(PARTITIONS):
        op.execute(PARTITION.format(number=number, modulus=PARTITIONS))
        # A search through everything (trace) goes partition by partition, so that no statement runs long.
        op.execute(f"GRANT SELECT ON engagement_events_{number} TO smb_worker")
    for statement in (SCORING_INDEX, TIER_CHANGES, *GRANTS):
        op.execute(statement)
