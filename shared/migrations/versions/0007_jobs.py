"""Imports, bulk updates and whatever else is done to many SMBs of one tenant in chunks.

A job's chunks are rows. Whoever does one marks it as done in the transaction that does it, so that a killed worker
leaves nothing half done and the next one goes on at once. What an upload brought is staged until its chunk is done.
"""

from alembic import op

from shared.migrations.tenancy import keep_apart

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JOBS = """
CREATE TABLE record_jobs (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('import', 'bulk_update', 'zone_change')),
    status text NOT NULL CHECK (status IN ('uploading', 'waiting', 'running', 'finished', 'failed')),
    dry_run boolean NOT NULL DEFAULT false,
    request jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(request) = 'object'),
    rows_total bigint NOT NULL DEFAULT 0 CHECK (rows_total >= 0),
    rows_done bigint NOT NULL DEFAULT 0 CHECK (rows_done BETWEEN 0 AND rows_total),
    created bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    chunks_total integer NOT NULL DEFAULT 0 CHECK (chunks_total >= 0),
    chunks_done integer NOT NULL DEFAULT 0 CHECK (chunks_done BETWEEN 0 AND chunks_total),
    failure text CHECK (char_length(failure) <= 500),
    opened_at timestamptz NOT NULL,
    progressed_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((status IN ('finished', 'failed')) = (ended_at IS NOT NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK (status <> 'finished' OR chunks_done = chunks_total)
)
"""
JOB_INDEXES = (
    # One import at a time.
    """
    CREATE UNIQUE INDEX record_jobs_one_import ON record_jobs (tenant_id)
    WHERE kind = 'import' AND status IN ('uploading', 'waiting', 'running')
    """,
    # Uploads that broke off.
    "CREATE INDEX record_jobs_uploading ON record_jobs (progressed_at) WHERE status = 'uploading'",
    # The removal of what ended long ago.
    "CREATE INDEX record_jobs_ended ON record_jobs (ended_at) WHERE ended_at IS NOT NULL",
)

# What a chunk covers depends on the job's kind: staged rows from (bucket, line) to (bucket, line), SMBs from id to id,
# or just these SMBs.
CHUNKS = """
CREATE TABLE record_job_chunks (
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    rows integer NOT NULL CHECK (rows >= 0),
    first_bucket smallint,
    first_line integer,
    last_bucket smallint,
    last_line integer,
    first_smb_id uuid,
    last_smb_id uuid,
    smb_ids uuid[],
    done_at timestamptz,
    PRIMARY KEY (tenant_id, job_id, number),
    FOREIGN KEY (tenant_id, job_id) REFERENCES record_jobs (tenant_id, id) ON DELETE CASCADE,
    CHECK (num_nonnulls(first_bucket, first_smb_id, smb_ids) = 1),
    CHECK (num_nulls(first_bucket, first_line, last_bucket, last_line) IN (0, 4)),
    CHECK ((first_smb_id IS NULL) = (last_smb_id IS NULL))
)
"""
# What workers look for: the first chunks of all jobs, so that a long job does not hold up the short ones.
OPEN_CHUNKS = (
    "CREATE INDEX record_job_chunks_open ON record_job_chunks (number, tenant_id, job_id) WHERE done_at IS NULL"
)

# No foreign key to the job and no further checks: a million rows are staged at once, each checked before, and what is
# made of them is checked by the tables that it goes to.
IMPORT_ROWS = """
CREATE TABLE import_rows (
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    bucket smallint NOT NULL,
    line integer NOT NULL,
    id uuid,
    external_id text,
    business_name text,
    primary_email text,
    primary_phone text,
    industry_category text,
    business_description text,
    business_context jsonb,
    community_id uuid,
    community_slug text,
    service_model text,
    services_activated jsonb,
    email_opted_in boolean,
    sms_opted_in boolean,
    rvm_opted_in boolean,
    phone_opted_in boolean,
    do_not_contact boolean,
    cleared text[],
    PRIMARY KEY (tenant_id, job_id, bucket, line)
)
"""

IMPORT_REFUSALS = """
CREATE TABLE import_refusals (
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    line integer NOT NULL CHECK (line >= 1),
    field text CHECK (char_length(field) <= 200),
    value text CHECK (char_length(value) <= 200),
    reason text NOT NULL CHECK (char_length(reason) <= 500),
    smb_id uuid,
    external_id text,
    email text,
    PRIMARY KEY (tenant_id, job_id, line),
    FOREIGN KEY (tenant_id, job_id) REFERENCES record_jobs (tenant_id, id) ON DELETE CASCADE
)
"""
# The erasure of an SMB finds the rows that were about it.
REFUSAL_INDEXES = tuple(
    f"CREATE INDEX import_refusals_{column} ON import_refusals (tenant_id, {column}) WHERE {column} IS NOT NULL"
    for column in ("smb_id", "external_id", "email", "value")
)

# The same rule as before. A function in plain SQL starts a query for every list; this one asks PostgreSQL's own
# functions, and took a tenth of the time.
NAME_LIST = """
CREATE OR REPLACE FUNCTION is_list_of_names(list jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(list) <> 'array' OR jsonb_path_exists(list, 'strict $[*] ? (@.type() != "string" || @ == "")') THEN
        RETURN false;
    END IF;
    FOR place IN 0 .. jsonb_array_length(list) - 2 LOOP
        IF jsonb_array_length(list - (list ->> place)) < jsonb_array_length(list) - 1 THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$
"""

# A large import makes this table grow a thousandfold within a minute. Where nobody has analysed it, PostgreSQL takes
# any index that begins with the tenant for as good as the right one, and reads all SMBs for each row. Workers may not
# analyse tables themselves.
ANALYZE_GROWN = """
CREATE FUNCTION smb_analyze_grown_smbs() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    IF pg_relation_size('smbs') > 524288 + 4 * 8192 * (
        SELECT relpages FROM pg_class WHERE oid = CAST('smbs' AS regclass)
    ) AND pg_try_advisory_xact_lock(hashtextextended('statistics of smbs', 0)) THEN
        ANALYZE smbs;
    END IF;
END
$$
"""

TENANT_TABLES = ("record_jobs", "record_job_chunks", "import_rows", "import_refusals")
# The API opens jobs and stages rows; what becomes of them is the workers' part. It removes what it staged itself where
# an upload breaks off, and what concerns an SMB that it erases.
GRANTS = (
    """
    GRANT SELECT, INSERT, UPDATE, DELETE ON record_jobs, record_job_chunks, import_rows, import_refusals
    TO smb_worker
    """,
    "REVOKE EXECUTE ON FUNCTION smb_analyze_grown_smbs() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION smb_analyze_grown_smbs() TO smb_worker",
    "GRANT SELECT, INSERT, UPDATE ON record_jobs TO smb_api",
    "GRANT SELECT, INSERT ON record_job_chunks TO smb_api",
    "GRANT SELECT, INSERT, DELETE ON import_rows, import_refusals TO smb_api",
)


def upgrade() -> None:
    """Create what jobs over many SMBs need."""
    tables = (JOBS, *JOB_INDEXES, CHUNKS, OPEN_CHUNKS, IMPORT_ROWS, IMPORT_REFUSALS, *REFUSAL_INDEXES)
    for statement in (*tables, NAME_LIST, ANALYZE_GROWN):
        op.execute(statement)
    for table in TENANT_TABLES:
        for statement in keep_apart(table):
            op.execute(statement)
    for statement in GRANTS:
        op.execute(statement)
