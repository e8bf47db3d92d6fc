"""Every SQL statement of trace. No table but the outgoing messages is indexed by a message's id: this may take long."""

from sqlalchemy import text

# One partition at a time, so that no statement runs long.
PARTITIONS = text(
    """
    SELECT CAST(CAST(inhrelid AS regclass) AS text) AS name FROM pg_inherits
    WHERE inhparent = CAST('engagement_events' AS regclass) ORDER BY 1
    """,
)
EVENTS_OF_PARTITION = """
    SELECT event.tenant_id, event.smb_id, CAST(event.kind AS text) AS kind, event.source, event.occurred_at,
        event.received_at, event.partition_number, event.partition_offset, smb.id IS NOT NULL AS smb_exists,
        (SELECT count(*) FROM engagement_events AS other
            WHERE other.tenant_id = event.tenant_id AND other.smb_id = event.smb_id
                AND other.received_at = event.received_at) AS came_together
    FROM {partition} AS event
    LEFT JOIN smbs AS smb ON smb.tenant_id = event.tenant_id AND smb.id = event.smb_id
    WHERE event.event_id = :event_id
        AND (CAST(:source AS text) IS NULL OR event.source = :source)
        AND (CAST(:tenant_id AS uuid) IS NULL OR event.tenant_id = :tenant_id)
    ORDER BY event.received_at
"""
LEDGER = text(
    """
    SELECT entry.*, refusal.reason
    FROM campaign_inputs AS entry
    LEFT JOIN LATERAL (
        SELECT transition.reason FROM campaign_transitions AS transition
        WHERE transition.tenant_id = entry.tenant_id AND transition.smb_id = entry.smb_id
            AND transition.caused_by = entry.event_id AND transition.outcome = 'refused'
        ORDER BY transition.id DESC LIMIT 1
    ) AS refusal ON entry.outcome = 'refused'
    WHERE entry.event_id = :event_id
        AND (CAST(:source AS text) IS NULL OR entry.source = :source)
        AND (CAST(:tenant_id AS uuid) IS NULL OR entry.tenant_id = :tenant_id)
    ORDER BY entry.received_at
    """,
)
RUNS = text(
    """
    SELECT * FROM job_runs
    WHERE trigger_id = :event_id AND (CAST(:source AS text) IS NULL OR trigger_source = :source)
    ORDER BY received_at
    """,
)
COPIES = text(
    """
    SELECT * FROM repeated_inputs
    WHERE event_id = :event_id
        AND (CAST(:source AS text) IS NULL OR source = :source)
        AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
    ORDER BY seen_at
    """,
)
LETTERS = text(
    """
    SELECT * FROM dead_letters
    WHERE event_id = :event_id
        AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
    ORDER BY id LIMIT :at_most
    """,
)
_MESSAGE = """
    SELECT message.*, outbox.message_id IS NOT NULL AS waits
    FROM outgoing_messages AS message LEFT JOIN outbox ON outbox.message_id = message.id
"""
# Told for this input, or in the transaction that applied it: there the cause named is the last of several events.
LED_TO = text(
    f"""
    {_MESSAGE}
    WHERE message.tenant_id = :tenant_id AND message.smb_id = :smb_id
        AND (message.causation_id = ANY(CAST(:causes AS text[])) OR message.created_at = :moment)
    ORDER BY message.epoch, message.sequence
    """,
)
MESSAGE = text(
    f"""
    {_MESSAGE}
    WHERE message.tenant_id = :tenant_id AND message.smb_id = :smb_id AND message.epoch = :epoch
        AND message.sequence = :sequence
    """,
)
