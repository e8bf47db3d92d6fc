"""Campaign runs, their transitions, and the ledger of commands and approvals.

A campaign is one run of the 90 days for one SMB. What it is now stands also in `smbs` (status, day, next send), written
by the same statement; the row here keeps what that was computed from (`day_one`, zone, send time, moment of refresh).
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CAMPAIGNS = """
CREATE TABLE campaigns (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    smb_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'running', 'paused', 'completed', 'cancelled')),
    start_date date NOT NULL,
    day_one date,
    day smallint CHECK (day BETWEEN 1 AND 90),
    next_send timestamptz,
    timezone text NOT NULL,
    send_time time NOT NULL,
    refreshed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    number bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, smb_id) REFERENCES smbs (tenant_id, id),
    CHECK ((next_send IS NOT NULL) = (status = 'running')),
    CHECK ((ended_at IS NOT NULL) = (status IN ('completed', 'cancelled'))),
    CHECK ((day IS NULL) = (day_one IS NULL)),
    CHECK (day IS NOT NULL OR status IN ('scheduled', 'cancelled')),
    CHECK (day IS NULL OR status <> 'scheduled')
)
"""

# At most one open run for each SMB; also finds it, and gives the history of an SMB.
OPEN_CAMPAIGN = """
CREATE UNIQUE INDEX campaigns_open ON campaigns (tenant_id, smb_id)
WHERE status IN ('scheduled', 'running', 'paused')
"""
# By number and not by moment: several runs may begin and end in one transaction, which has one moment.
HISTORY = "CREATE UNIQUE INDEX campaigns_history ON campaigns (tenant_id, smb_id, number)"

TRANSITIONS = """
CREATE TABLE campaign_transitions (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    campaign_id uuid,
    occurred_at timestamptz NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('applied', 'refused')),
    old_status text NOT NULL,
    new_status text NOT NULL,
    day smallint CHECK (day BETWEEN 1 AND 90),
    reason text,
    caused_by text,
    PRIMARY KEY (tenant_id, smb_id, id),
    CHECK (outcome = 'applied' OR old_status = new_status),
    CHECK (outcome = 'refused' OR campaign_id IS NOT NULL),
    CHECK (outcome = 'applied' OR reason IS NOT NULL)
)
"""

LEDGER = """
CREATE TABLE campaign_inputs (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    sort text NOT NULL CHECK (sort IN ('approval', 'command')),
    input_key uuid NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    partition_number integer NOT NULL,
    partition_offset bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('applied', 'refused', 'waiting')),
    service text,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 16),
    PRIMARY KEY (tenant_id, smb_id, sort, input_key),
    CHECK (sort = 'approval' OR service IS NULL),
    CHECK (outcome <> 'waiting' OR (sort = 'approval' AND service IS NOT NULL))
)
"""
# The removal of commands that are older than 35 days.
LEDGER_AGE = "CREATE INDEX campaign_inputs_age ON campaign_inputs (received_at) WHERE sort = 'command'"

COMMENTS = (
    "COMMENT ON COLUMN campaigns.number IS 'the runs of an SMB in the order in which they were opened'",
    "COMMENT ON COLUMN campaign_inputs.fingerprint IS 'hash of type, time and data: tells copies that differ'",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON campaigns, campaign_inputs TO smb_worker",
    "GRANT SELECT, INSERT, DELETE ON campaign_transitions TO smb_worker",
)


def upgrade() -> None:
    """Create the campaign tables."""
    for statement in (CAMPAIGNS, OPEN_CAMPAIGN, HISTORY, TRANSITIONS, LEDGER, LEDGER_AGE, *COMMENTS, *GRANTS):
        op.execute(statement)
