"""Every metric of the workers, in one place, with its meaning. Labels have few, fixed values: never an id."""

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Counter, Gauge, Histogram, Info

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG_SECONDS = (*_SECONDS, 300, 1800, 7200)
_RECORDS = (1, 5, 10, 50, 100, 500, 1000, 2000, 5000)

CONSUMED = Counter("smb_consumed_records", "Records taken from Kafka, of every kind and fate.", ["service", "topic"])
APPLIED = Counter(
    "smb_applied_inputs",
    "Inputs that were settled by applying them, once each; tier counts what it looked at.",
    ["service"],
)
REPEATED = Counter(
    "smb_repeated_inputs",
    "Inputs whose identity was applied before; body says whether the copy is the same or differs.",
    ["service", "body"],
)
REFUSED = Counter("smb_refused_commands", "Commands that the present state does not allow.", ["service"])
ERASED = Counter("smb_erased_inputs", "Inputs for an SMB that was erased: counted, not kept.", ["service"])
PASSED_OVER = Counter("smb_passed_over_records", "Records of types that another service owns.", ["service"])
DEAD_LETTERS = Counter("smb_dead_letters", "Records parked with their bytes.", ["service", "reason"])

BATCH_SECONDS = Histogram(
    "smb_batch_seconds", "From having a batch to its commit, retries included.", ["service"], buckets=_LONG_SECONDS
)
BATCH_RECORDS = Histogram("smb_batch_records", "Records in a batch.", ["service"], buckets=_RECORDS)
COMMIT_TO_PUBLISH_SECONDS = Histogram(
    "smb_commit_to_publish_seconds",
    "From writing a message to the outbox until it is off it, acknowledged by Kafka, by the database's clock.",
    buckets=_LONG_SECONDS,
)
EVENT_TO_PUBLISHED_SECONDS = Histogram(
    "smb_event_to_published_seconds",
    "From an input's arrival in Kafka until the announcement that it led to is acknowledged and off the outbox.",
    buckets=_LONG_SECONDS,
)
RETRIES = Counter(
    "smb_retries", "Attempts that failed for a temporary cause and are tried again.", ["service", "cause"]
)
ACKNOWLEDGE_FAILURES = Counter(
    "smb_acknowledge_failures", "Positions that Kafka did not take after the commit; harmless.", ["service"]
)

PUBLISHED = Counter("smb_published_messages", "Messages that Kafka acknowledged, copies included.", ["type"])
OUTBOX_DEPTH = Gauge("smb_outbox_messages", "Messages committed and not acknowledged by Kafka yet.")
OUTBOX_AGE_SECONDS = Gauge("smb_outbox_oldest_seconds", "Age of the oldest message in the outbox; 0 when empty.")
RELAY_LEADER = Gauge("smb_relay_leader", "1 in the process that publishes the outbox now, else 0.")

LAG = Gauge("smb_consumer_lag_records", "Records that this group has not finished, over all partitions.", ["group"])
LOST_RECORDS = Gauge(
    "smb_records_lost_to_retention",
    "Records that Kafka deleted before this group had read them. More than 0 is an emergency.",
    ["group"],
)
LINE_STOPPED = Gauge("smb_line_stopped", "1 when this worker has stopped and waits for a person.", ["service", "why"])
READY = Gauge("smb_ready", "1 when /readyz answers 200.", ["service"])

# Read from the table of runs: a count kept by this process would also count what was rolled back.
JOB_SHARDS_DONE = Gauge("smb_job_shards_done", "Shards that are done, of the last 35 days' runs of a job.", ["job"])
JOB_SHARDS_OPEN = Gauge("smb_job_shards_open", "Shards that open runs of a job still have to do.", ["job"])
JOB_LAST_FINISHED = Gauge(
    "smb_job_last_finished_timestamp_seconds", "When the last run of a job finished, as a Unix time.", ["job"]
)
CAMPAIGNS_WITHOUT_ZONE = Counter(
    "smb_campaigns_without_zone",
    "Campaigns that a daily advance left as they were, because the zone data does not know their zone.",
)
HTTP_SECONDS = Histogram(
    "smb_http_request_seconds",
    "From a request of the API until its answer is sent; the route is its template, never a path.",
    ["method", "route", "status"],
    buckets=_SECONDS,
)
HTTP_REFUSED = Counter(
    "smb_http_refused_requests", "Requests of the API that were not let in: unauthorized, forbidden, rate.", ["why"]
)
SCORE_MISMATCHES = Gauge(
    "smb_verify_mismatches", "Differences that the last `smb-crm verify` found, by what differs.", ["kind"]
)
VERIFY_LAST_FINISHED = Gauge(
    "smb_verify_last_finished_timestamp_seconds", "When the last `smb-crm verify` finished, as a Unix time."
)
BUILD = Info("smb_build", "Version of the program and of the policy that it scores by.")


def describe_build(service: str, policy_version: str) -> None:
    """Publish which program runs with which policy."""
    try:
        program = version("smb-crm")
    except PackageNotFoundError:
        program = "unknown"
    BUILD.info({"version": program, "service": service, "policy_version": policy_version})
