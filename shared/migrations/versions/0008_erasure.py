"""What makes an erasure whole: the dead letters that name an SMB, and the erasures that are not settled yet."""

from alembic import op

from shared.migrations.tenancy import keep_apart

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A row for each erasure, until nobody can write about the SMB any more and everything about it is gone.
OPEN_ERASURES = """
CREATE TABLE open_erasures (
    tenant_id uuid NOT NULL,
    smb_id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    is_swept boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, smb_id)
)
"""

# Written in any case, with dashes or without, anywhere in the key or the body: a letter could not be decoded, so
# nobody knows what its parts mean. In 'escape' all that is ASCII stands as it is. A longer row of digits is no id, and
# must not be taken apart into thousands of them.
UUIDS_IN = """
CREATE FUNCTION uuids_in(bytes bytea) RETURNS uuid[] IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN ARRAY(
    SELECT DISTINCT CAST(found[1] AS uuid)
    FROM regexp_matches(
        encode(bytes, 'escape'),
        '(?<![0-9a-f])([0-9a-f]{8}(?:-?[0-9a-f]{4}){4}[0-9a-f]{8})(?![0-9a-f])', 'gi') AS found)
"""
# Computed by the database, so that the previous release's letters have it as well.
MENTIONS = """
ALTER TABLE dead_letters ADD COLUMN mentions uuid[] NOT NULL
GENERATED ALWAYS AS (
    array_remove(uuids_in(coalesce(key, '')) || uuids_in(coalesce(value, '')) || smb_id, NULL)) STORED
"""

INDEXES = (
    # The letters of an erased SMB, and whether a letter that is to be parked is one.
    "CREATE INDEX dead_letters_mentions ON dead_letters USING gin (mentions)",
    # The letters of one tenant: behind row-level security nothing else of a letter finds it.
    "CREATE INDEX dead_letters_tenant ON dead_letters (tenant_id, id)",
    # No other change of a head touches it: erased_at never changes again.
    "CREATE INDEX smb_heads_erased ON smb_heads (smb_id) WHERE erased_at IS NOT NULL",
    # The erasure of an SMB.
    "CREATE INDEX repeated_inputs_smb ON repeated_inputs (tenant_id, smb_id) WHERE smb_id IS NOT NULL",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON open_erasures TO smb_worker",
    "GRANT SELECT, INSERT ON open_erasures TO smb_api",
)


def upgrade() -> None:
    """Create what erasures need."""
    for statement in (OPEN_ERASURES, UUIDS_IN, MENTIONS, *INDEXES):
        op.execute(statement)
    for statement in (*keep_apart("open_erasures"), *GRANTS):
        op.execute(statement)
