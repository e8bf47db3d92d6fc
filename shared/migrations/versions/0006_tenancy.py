"""Tenants kept apart in the database, the rights of the API, and what its lists and writes need.

Every table that has a tenant is under row-level security. A transaction of the API names its tenant first
(`set_config('smb.tenant_id', …, true)`); one that does not sees nothing.
"""

from alembic import op

from shared.migrations.tenancy import keep_apart

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# After a COMMIT the setting is empty, not NULL.
CURRENT_TENANT = """
CREATE FUNCTION smb_current_tenant() RETURNS uuid STABLE PARALLEL SAFE LANGUAGE sql
RETURN CAST(nullif(current_setting('smb.tenant_id', true), '') AS uuid)
"""

COLUMNS = (
    "ALTER TABLE outbox ADD COLUMN tenant_id uuid",
    "ALTER TABLE smbs ADD COLUMN revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1)",
    "ALTER TABLE communities ADD COLUMN revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1)",
    # As lists sort and search them. Under row-level security only what could tell nothing of other tenants' rows
    # chooses from an index: a column's comparison, not lower()'s, for which every name before a page would be read.
    'ALTER TABLE smbs ADD COLUMN sort_name text COLLATE "C" GENERATED ALWAYS AS (lower(business_name)) STORED',
    'ALTER TABLE communities ADD COLUMN sort_name text COLLATE "C" GENERATED ALWAYS AS (lower(name)) STORED',
    "COMMENT ON COLUMN smbs.revision IS 'counts the changes of the profile: the ETag'",
    "COMMENT ON COLUMN communities.revision IS 'counts the changes: the ETag'",
)

# The same rules as before, but the lists are only taken apart where there is something in them.
CHECKS = (
    "ALTER TABLE smbs DROP CONSTRAINT smbs_services_activated_check",
    """
    ALTER TABLE smbs ADD CONSTRAINT smbs_services_activated_check
    CHECK (services_activated = '[]' OR is_list_of_names(services_activated))
    """,
    "ALTER TABLE smbs DROP CONSTRAINT smbs_services_approved_pending_check",
    """
    ALTER TABLE smbs ADD CONSTRAINT smbs_services_approved_pending_check
    CHECK (services_approved_pending = '[]' OR is_list_of_names(services_approved_pending))
    """,
    "ALTER TABLE smbs DROP CONSTRAINT no_service_both_activated_and_pending",
    """
    ALTER TABLE smbs ADD CONSTRAINT no_service_both_activated_and_pending
    CHECK (services_activated = '[]' OR services_approved_pending = '[]'
        OR NOT share_a_name(services_activated, services_approved_pending))
    """,
)

# Each index names the query that needs it.
INDEXES = (
    # The list as it is sorted when nothing else is asked for, and the search for a part of a name.
    "CREATE INDEX smbs_name ON smbs (tenant_id, sort_name, id) WHERE deleted_at IS NULL",
    "CREATE INDEX smbs_created ON smbs (tenant_id, created_at, id) WHERE deleted_at IS NULL",
    "CREATE INDEX smbs_updated ON smbs (tenant_id, updated_at, id) WHERE deleted_at IS NULL",
    "CREATE INDEX smbs_next_send ON smbs (tenant_id, next_scheduled_send, id) WHERE next_scheduled_send IS NOT NULL",
    # What two filters leave, by name; the first also for the foreign key's SET NULL.
    "DROP INDEX smbs_community",
    "CREATE INDEX smbs_community ON smbs (tenant_id, community_id, sort_name, id)",
    "CREATE INDEX smbs_service_model ON smbs (tenant_id, service_model, sort_name, id) WHERE deleted_at IS NULL",
    # Few can be reached by voicemail: it has to be opted in to.
    """
    CREATE INDEX smbs_contactable_by_rvm ON smbs (tenant_id, id)
    WHERE deleted_at IS NULL AND rvm_opted_in AND NOT do_not_contact AND primary_phone IS NOT NULL
    """,
    # The import's upsert by email.
    """
    CREATE INDEX smbs_email ON smbs (tenant_id, lower(primary_email))
    WHERE deleted_at IS NULL AND primary_email IS NOT NULL
    """,
    # The cleanup of SMBs that were deleted long ago.
    "CREATE INDEX smbs_deleted ON smbs (tenant_id, id) WHERE deleted_at IS NOT NULL",
    # The list of communities.
    "CREATE INDEX communities_name ON communities (tenant_id, sort_name, id)",
)

# The events of the transaction's tenant. Row-level security lets a condition choose from an index only when its
# operator is leakproof, and the equality of an enum is not: asked of the table itself, for one kind of event, the API
# would read all events of an SMB. This view has the same condition on the tenant, but as one among others. No caller
# brings functions of their own, which is what leakproof operators guard against.
OWN_EVENTS = (
    "CREATE VIEW own_events AS SELECT * FROM engagement_events WHERE tenant_id = smb_current_tenant()",
    "GRANT SELECT ON own_events TO smb_api, smb_worker",
)

IDEMPOTENCY_KEYS = """
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 200),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    status smallint NOT NULL CHECK (status BETWEEN 200 AND 299),
    headers json NOT NULL,
    body bytea NOT NULL,
    smb_id uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
)
"""
KEY_INDEXES = (
    # The removal after 24 hours.
    "CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at)",
    # The erasure of an SMB.
    "CREATE INDEX idempotency_keys_smb ON idempotency_keys (tenant_id, smb_id) WHERE smb_id IS NOT NULL",
)

TENANT_TABLES = (
    "communities",
    "smb_heads",
    "smbs",
    "engagement_events",
    *(f"engagement_events_{number}" for number in range(16)),
    "tier_changes",
    "campaigns",
    "campaign_transitions",
    "campaign_inputs",
    "outgoing_messages",
    "outbox",
    "dead_letters",
    "repeated_inputs",
    "idempotency_keys",
)

# The API never removes a head: an erasure marks it.
GRANTS = (
    "GRANT SELECT ON installation, alembic_version TO smb_api",
    "GRANT SELECT, INSERT, UPDATE ON smb_heads TO smb_api",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON communities, smbs, campaigns, campaign_inputs TO smb_api",
    "GRANT SELECT, INSERT, DELETE ON campaign_transitions, outgoing_messages, idempotency_keys TO smb_api",
    "GRANT SELECT, DELETE ON engagement_events, tier_changes, dead_letters, repeated_inputs TO smb_api",
    "GRANT SELECT, INSERT ON outbox TO smb_api",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO smb_worker",
)


def upgrade() -> None:
    """Keep tenants apart and let the API in."""
    for statement in (CURRENT_TENANT, *COLUMNS, *CHECKS, *INDEXES, IDEMPOTENCY_KEYS, *KEY_INDEXES):
        op.execute(statement)
    for table in TENANT_TABLES:
        for statement in keep_apart(table):
            op.execute(statement)
    for statement in (*GRANTS, *OWN_EVENTS):
        op.execute(statement)
