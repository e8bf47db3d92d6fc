"""A row in every table that has a tenant."""

from uuid import UUID, uuid4

from tests.installation import Installation

# For each table its columns and the values of one row; $1 is the tenant, $2 an SMB, $3 a community or campaign.
EXAMPLES: dict[str, tuple[str, str]] = {
    "smb_heads": ("tenant_id, smb_id", "$1, $2"),
    "communities": (
        "tenant_id, id, name, slug, state, created_at, updated_at",
        "$1, $3, 'Alma', 'alma', 'NY', now(), now()",
    ),
    "smbs": (
        "tenant_id, id, community_id, slug, external_id, business_name, created_at, updated_at",
        "$1, $2, $3, 'alma', 'x-1', 'Alma', now(), now()",
    ),
    "engagement_events": (
        (
            "tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset, partition_number, kind, source,"
            " event_id, reference"
        ),
        "$1, $2, $3, now(), now(), 0, 0, 'email_opened', '/test', 'e-1', 'm-1'",
    ),
    "tier_changes": (
        "tenant_id, smb_id, changed_at, old_tier, new_tier, score, reason, policy_version",
        "$1, $2, now(), 4, 3, 40, 'engagement changed', 'x'",
    ),
    "campaigns": (
        "tenant_id, id, smb_id, status, start_date, timezone, send_time, refreshed_at, created_at, ended_at",
        "$1, $3, $2, 'cancelled', '2026-01-01', 'UTC', '09:00', now(), now(), now()",
    ),
    "campaign_transitions": (
        "tenant_id, smb_id, campaign_id, occurred_at, action, outcome, old_status, new_status",
        "$1, $2, $3, now(), 'cancel', 'applied', 'scheduled', 'cancelled'",
    ),
    "campaign_inputs": (
        (
            "tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, received_at, topic,"
            " partition_number, partition_offset, outcome, fingerprint"
        ),
        (
            "$1, $2, 'command', $3, 'CancelCampaign', '/test', 'c-1', now(), now(), 't', 0, 0, 'applied',"
            " decode(repeat('00', 16), 'hex')"
        ),
    ),
    "outgoing_messages": (
        "topic, key, headers, value, type, created_at, tenant_id, smb_id, epoch, sequence",
        "'smb.events', 'k', '[]', 'v', 'SMBCreated', now(), $1, $2, 1, 1",
    ),
    "outbox": ("message_id, created_at, tenant_id", "(SELECT max(id) FROM outgoing_messages), now(), $1"),
    "dead_letters": (
        (
            "consumer_group, topic, partition_number, partition_offset, headers, service, error_class, reason,"
            " attempts, parked_at, tenant_id, smb_id, fingerprint"
        ),
        (
            "'engagement', 't', 0, (SELECT count(*) FROM dead_letters), '[]', 'engagement', 'not_json', 'no', 1,"
            " now(), $1, $2, decode(repeat('00', 16), 'hex')"
        ),
    ),
    "repeated_inputs": (
        (
            "consumer_group, topic, partition_number, partition_offset, tenant_id, smb_id, type, source, event_id,"
            " differs, seen_at"
        ),
        (
            "'engagement', 't', 0, (SELECT count(*) FROM repeated_inputs), $1, $2, 'EmailOpened', '/test', 'e-1',"
            " false, now()"
        ),
    ),
    "record_jobs": (
        "tenant_id, id, kind, status, opened_at, progressed_at",
        "$1, $3, 'import', 'running', now(), now()",
    ),
    "record_job_chunks": ("tenant_id, job_id, number, rows, smb_ids", "$1, $3, 1, 1, ARRAY[CAST($2 AS uuid)]"),
    "import_rows": ("tenant_id, job_id, bucket, line, business_name", "$1, $3, 0, 2, 'Alma'"),
    "import_refusals": ("tenant_id, job_id, line, value, reason", "$1, $3, 2, 'a@alma', 'no address'"),
    "idempotency_keys": (
        "tenant_id, key, fingerprint, status, headers, body, smb_id, created_at",
        "$1, 'key', decode(repeat('00', 32), 'hex'), 201, '[]', '{}', $2, now()",
    ),
    "open_erasures": ("tenant_id, smb_id, erased_at", "$1, $2, now()"),
}


async def fill(installation: Installation, tenant_id: UUID) -> None:
    """Put a row of this tenant into every table."""
    parameters = {"$1": tenant_id, "$2": uuid4(), "$3": uuid4()}
    for table, (columns, values) in EXAMPLES.items():
        literal = values
        for name, value in parameters.items():
            literal = literal.replace(name, f"'{value}'")
        await installation.fetch(f"INSERT INTO {table} ({columns}) VALUES ({literal})")
