"""What every worker needs and no business rule decides.

Consumes: raw records of Kafka, in batches.
Owns: the transaction, the order of locks (heads), `outgoing_messages` and `outbox`, `dead_letters`,
`consumer_progress`, `repeated_inputs`, `job_runs` and `job_shards`, settings, logs, metrics, health.
Emits: what handlers returned, numbered per SMB, through the outbox and the relay.

The way of one batch: `subscriber` (FastStream) -> `consumer` (decode, retry, split) -> `batch` (one transaction:
heads, handler, outbox, dead letters, progress, commit) -> acknowledge; apart from it `relay` publishes the outbox.
"""
