"""What the runtime keeps: outgoing messages, dead letters, positions, job runs.

An outgoing message is written once and kept for 35 days; `outbox` holds only the ids of those that Kafka has not
acknowledged yet, so that taking one off the outbox touches a row of eight bytes.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OUTGOING_MESSAGES = """
CREATE TABLE outgoing_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    headers json NOT NULL,
    value bytea NOT NULL,
    type text NOT NULL,
    created_at timestamptz NOT NULL,
    caused_at timestamptz,
    tenant_id uuid,
    smb_id uuid,
    epoch integer,
    sequence bigint,
    causation_id text,
    CHECK (num_nulls(tenant_id, smb_id, epoch, sequence) IN (0, 4))
)
"""
# An SMB's story (trace, verify), and the proof that no number is given twice.
STORY = """
CREATE UNIQUE INDEX outgoing_messages_story ON outgoing_messages (tenant_id, smb_id, epoch, sequence)
WHERE tenant_id IS NOT NULL
"""

# No foreign key: both rows are written by one statement, and checking each again would double its cost.
OUTBOX = """
CREATE TABLE outbox (
    message_id bigint PRIMARY KEY,
    created_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
"""

# The headers as json, not jsonb: a header's name may hold NUL, which jsonb refuses. A place alone is no identity: a
# topic that was created anew gives its offsets again, to other records.
DEAD_LETTERS = """
CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition_number integer NOT NULL,
    partition_offset bigint NOT NULL,
    message_timestamp timestamptz,
    key bytea,
    value bytea,
    headers json NOT NULL,
    service text NOT NULL,
    error_class text NOT NULL,
    reason text NOT NULL CHECK (char_length(reason) <= 1000),
    attempts integer NOT NULL CHECK (attempts >= 1),
    parked_at timestamptz NOT NULL,
    replayed_at timestamptz,
    tenant_id uuid,
    smb_id uuid,
    event_id text,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 16),
    UNIQUE (consumer_group, topic, partition_number, partition_offset, fingerprint)
)
"""

PROGRESS = """
CREATE TABLE consumer_progress (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition_number integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition_number)
) WITH (fillfactor = 50)
"""

REPEATED_INPUTS = """
CREATE TABLE repeated_inputs (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition_number integer NOT NULL,
    partition_offset bigint NOT NULL,
    tenant_id uuid,
    smb_id uuid,
    type text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    differs boolean NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition_number, partition_offset)
)
"""
# The removal of what is older than 35 days.
REPEATED_AGE = "CREATE INDEX repeated_inputs_age ON repeated_inputs (seen_at)"

JOB_RUNS = """
CREATE TABLE job_runs (
    run_id uuid PRIMARY KEY,
    name text NOT NULL,
    trigger_source text NOT NULL,
    trigger_id text NOT NULL,
    partition_number integer NOT NULL,
    partition_offset bigint NOT NULL,
    scheduled_for timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'finished')),
    received_at timestamptz NOT NULL,
    progressed_at timestamptz NOT NULL,
    finished_at timestamptz,
    shards_total integer NOT NULL DEFAULT 0 CHECK (shards_total >= 0),
    shards_done integer NOT NULL DEFAULT 0 CHECK (shards_done BETWEEN 0 AND shards_total),
    smbs_seen bigint NOT NULL DEFAULT 0,
    smbs_changed bigint NOT NULL DEFAULT 0,
    CHECK ((status = 'finished') = (finished_at IS NOT NULL)),
    CHECK (status <> 'finished' OR shards_done = shards_total)
)
"""
OPEN_RUNS = "CREATE INDEX job_runs_open ON job_runs (name, scheduled_for) WHERE status <> 'finished'"

JOB_SHARDS = """
CREATE TABLE job_shards (
    run_id uuid NOT NULL REFERENCES job_runs (run_id) ON DELETE CASCADE,
    number integer NOT NULL CHECK (number >= 1),
    first_tenant_id uuid NOT NULL,
    first_smb_id uuid NOT NULL,
    last_tenant_id uuid NOT NULL,
    last_smb_id uuid NOT NULL,
    done_at timestamptz,
    smbs_seen integer,
    smbs_changed integer,
    PRIMARY KEY (run_id, number)
)
"""

VERIFICATIONS = """
CREATE TABLE verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    smbs_checked bigint NOT NULL CHECK (smbs_checked >= 0),
    mismatches bigint NOT NULL CHECK (mismatches >= 0),
    mismatches_by_kind jsonb NOT NULL
)
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON outgoing_messages, outbox, dead_letters, consumer_progress, repeated_inputs,
    job_runs, job_shards, verifications TO smb_worker
"""


def upgrade() -> None:
    """Create the runtime's tables."""
    for statement in (
        OUTGOING_MESSAGES,
        STORY,
        OUTBOX,
        DEAD_LETTERS,
        PROGRESS,
        REPEATED_INPUTS,
        REPEATED_AGE,
        JOB_RUNS,
        OPEN_RUNS,
        JOB_SHARDS,
        VERIFICATIONS,
        GRANTS,
    ):
        op.execute(statement)
