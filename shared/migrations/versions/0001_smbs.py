"""Communities, the head of every SMB and its profile.

`smb_heads` is what everyone locks before changing an SMB. It is narrow, has no secondary index and leaves room on
its pages, because its columns change with every event: such updates stay on their page (HOT) and touch no index.
A head exists also for an SMB that its tenant does not have yet, so that events which come first have a row to lock.
`smbs` is the wide profile, which changes rarely.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTALLATION = """
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch integer NOT NULL DEFAULT 1 CHECK (epoch >= 1),
    epoch_raised_at timestamptz
)
"""

COMMUNITIES = """
CREATE TABLE communities (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 200),
    state text NOT NULL CHECK (state ~ '^[A-Z]{2}$'),
    county text CHECK (char_length(county) BETWEEN 1 AND 200),
    population integer CHECK (population >= 0),
    timezone text CHECK (char_length(timezone) BETWEEN 1 AND 64),
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, slug)
)
"""

HEADS = """
CREATE TABLE smb_heads (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    sequence bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    erased_at timestamptz,
    last_now timestamptz NOT NULL DEFAULT clock_timestamp(),
    engagement_score smallint NOT NULL DEFAULT 0 CHECK (engagement_score BETWEEN 0 AND 100),
    announced_score smallint NOT NULL DEFAULT 0 CHECK (announced_score BETWEEN 0 AND 100),
    engagement_scored_on date,
    last_email_open timestamptz,
    last_email_click timestamptz,
    last_content_view timestamptz,
    last_approval timestamptz,
    PRIMARY KEY (tenant_id, smb_id),
    CHECK (erased_at IS NULL OR (
        engagement_score = 0 AND engagement_scored_on IS NULL AND last_email_open IS NULL
        AND last_email_click IS NULL AND last_content_view IS NULL AND last_approval IS NULL))
) WITH (fillfactor = 60)
"""

NAME_LIST = """
CREATE FUNCTION is_list_of_names(list jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN CASE WHEN jsonb_typeof(list) <> 'array' THEN false ELSE NOT EXISTS (
    SELECT FROM jsonb_array_elements(list) AS item
    GROUP BY item HAVING count(*) > 1 OR jsonb_typeof(item) <> 'string' OR item = '""') END
"""

# What is no list is for the other check to refuse; this one must not fail on it in another way.
SHARE_A_NAME = """
CREATE FUNCTION share_a_name(one jsonb, other jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN jsonb_exists_any(one, ARRAY(
    SELECT jsonb_array_elements_text(CASE jsonb_typeof(other) WHEN 'array' THEN other ELSE '[]' END)))
"""

SMBS = """
CREATE TABLE smbs (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    community_id uuid,
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 200),
    external_id text CHECK (char_length(external_id) BETWEEN 1 AND 200),
    business_name text NOT NULL CHECK (char_length(business_name) BETWEEN 1 AND 200),
    primary_email text CHECK (char_length(primary_email) BETWEEN 3 AND 320),
    primary_phone text CHECK (char_length(primary_phone) BETWEEN 3 AND 40),
    industry_category text CHECK (char_length(industry_category) BETWEEN 1 AND 200),
    business_description text CHECK (char_length(business_description) BETWEEN 1 AND 10000),
    business_context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(business_context) = 'object'),
    engagement_tier smallint NOT NULL DEFAULT 4 CHECK (engagement_tier BETWEEN 1 AND 4),
    tier_changed_at timestamptz,
    campaign_status text NOT NULL DEFAULT 'draft' CHECK (
        campaign_status IN ('draft', 'scheduled', 'running', 'paused', 'completed', 'cancelled')),
    current_campaign_id uuid,
    manifest_destiny_day smallint CHECK (manifest_destiny_day BETWEEN 1 AND 90),
    manifest_destiny_start_date date,
    next_scheduled_send timestamptz,
    service_model text CHECK (char_length(service_model) BETWEEN 1 AND 200),
    services_activated jsonb NOT NULL DEFAULT '[]' CHECK (is_list_of_names(services_activated)),
    services_approved_pending jsonb NOT NULL DEFAULT '[]' CHECK (is_list_of_names(services_approved_pending)),
    email_opted_in boolean NOT NULL DEFAULT true,
    sms_opted_in boolean NOT NULL DEFAULT false,
    rvm_opted_in boolean NOT NULL DEFAULT false,
    phone_opted_in boolean NOT NULL DEFAULT false,
    do_not_contact boolean NOT NULL DEFAULT false,
    data_quality_score smallint NOT NULL DEFAULT 0 CHECK (data_quality_score BETWEEN 0 AND 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES smb_heads (tenant_id, smb_id),
    FOREIGN KEY (tenant_id, community_id) REFERENCES communities (tenant_id, id)
        ON DELETE SET NULL (community_id),
    CONSTRAINT do_not_contact_stops_campaigns CHECK (
        NOT (do_not_contact AND campaign_status IN ('scheduled', 'running'))),
    CONSTRAINT deletion_ends_campaigns CHECK (
        deleted_at IS NULL OR campaign_status NOT IN ('scheduled', 'running', 'paused')),
    CONSTRAINT current_campaign_while_open CHECK (
        (current_campaign_id IS NOT NULL) = (campaign_status IN ('scheduled', 'running', 'paused'))),
    CONSTRAINT send_while_running CHECK (
        (next_scheduled_send IS NOT NULL) = (campaign_status = 'running')),
    CONSTRAINT day_once_started CHECK (CASE campaign_status
        WHEN 'draft' THEN manifest_destiny_day IS NULL AND manifest_destiny_start_date IS NULL
        WHEN 'scheduled' THEN manifest_destiny_day IS NULL AND manifest_destiny_start_date IS NOT NULL
        WHEN 'cancelled' THEN manifest_destiny_start_date IS NOT NULL
        ELSE manifest_destiny_day IS NOT NULL AND manifest_destiny_start_date IS NOT NULL END),
    CONSTRAINT no_service_both_activated_and_pending CHECK (
        NOT share_a_name(services_activated, services_approved_pending))
)
"""

# Each index names the query that needs it.
INDEXES = (
    # GET by slug; the creation that picks a free slug.
    "CREATE UNIQUE INDEX smbs_slug ON smbs (tenant_id, slug) WHERE deleted_at IS NULL",
    # The import's upsert by external id.
    "CREATE UNIQUE INDEX smbs_external_id ON smbs (tenant_id, external_id) WHERE deleted_at IS NULL",
    # "Does this SMB take announcements?", asked for every event of a batch, answered from the index alone.
    "CREATE UNIQUE INDEX smbs_live ON smbs (tenant_id, id) WHERE deleted_at IS NULL",
    # List filters of the operators.
    "CREATE INDEX smbs_tier ON smbs (tenant_id, engagement_tier, id) WHERE deleted_at IS NULL",
    """
    CREATE INDEX smbs_campaign ON smbs (tenant_id, campaign_status, manifest_destiny_day, id) WHERE deleted_at IS NULL
    """,
    # SMBs of a community, and the foreign key's SET NULL.
    "CREATE INDEX smbs_community ON smbs (tenant_id, community_id, id)",
    # The daily advance: open campaigns of all tenants, in head order (hence no condition on the tenant).
    "CREATE INDEX smbs_open_campaigns ON smbs (tenant_id, id) WHERE campaign_status IN ('scheduled', 'running')",
)

GRANTS = (
    "GRANT SELECT ON installation, communities, alembic_version TO smb_worker",
    "GRANT UPDATE ON installation TO smb_worker",
    "GRANT INSERT, UPDATE, DELETE ON communities TO smb_worker",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON smb_heads, smbs TO smb_worker",
)


def upgrade() -> None:
    """Create the tables that say who an SMB is."""
    for statement in (INSTALLATION, COMMUNITIES, HEADS, NAME_LIST, SHARE_A_NAME, SMBS, *INDEXES, *GRANTS):
        op.execute(statement)
    op.execute("INSERT INTO installation DEFAULT VALUES")
