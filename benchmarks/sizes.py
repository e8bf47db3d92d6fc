"""How much each benchmark does: five minutes by default, the full sizes, and a trial that only shows that it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts of one run. Every measurement is repeated in rounds, in turn with what it is compared with."""

    name: str
    throughput_rounds: int
    # Of everything else.
    rounds: int
    smbs: int
    history_events: int
    # The history of the database that is compared with one of `history_events`.
    long_history_events: int
    # Events of the one hot SMB, all within its window.
    hot_smb_events: int
    # Events that two workers read in one round; one worker reads half of them.
    round_events: int
    # Workers stand still while topics are filled, and must not lose their partitions then. No longer than that needs: a
    # worker learns from a heartbeat, five in this time, that another one has joined.
    session_seconds: int
    # Events for the plain worker, which is two orders of magnitude slower.
    plain_events: int
    latency_seconds: int
    recalculated_smbs: int
    footprint_events: int
    # Of the one tenant that the API is asked about.
    api_smbs: int
    api_rounds: int
    # For which each request is repeated in each round.
    api_seconds: float
    imported_rows: int
    import_rounds: int
    # What the data folder may grow to.
    disk_gigabytes: int


DEFAULT = Sizes(
    name="default",
    throughput_rounds=3,
    rounds=2,
    smbs=10_000,
    history_events=100_000,
    long_history_events=1_000_000,
    hot_smb_events=200_000,
    round_events=40_000,
    session_seconds=15,
    plain_events=500,
    latency_seconds=5,
    recalculated_smbs=30_000,
    footprint_events=50_000,
    api_smbs=5_000,
    api_rounds=2,
    api_seconds=0.6,
    imported_rows=30_000,
    import_rounds=2,
    disk_gigabytes=10,
)
FULL = Sizes(
    name="full",
    throughput_rounds=3,
    rounds=2,
    smbs=200_000,
    history_events=3_000_000,
    long_history_events=30_000_000,
    hot_smb_events=1_000_000,
    round_events=200_000,
    session_seconds=60,
    plain_events=2_000,
    latency_seconds=30,
    recalculated_smbs=1_000_000,
    footprint_events=50_000,
    api_smbs=1_000_000,
    api_rounds=5,
    api_seconds=6.0,
    imported_rows=1_000_000,
    import_rounds=2,
    disk_gigabytes=60,
)
TRIAL = Sizes(
    name="trial",
    throughput_rounds=1,
    rounds=1,
    smbs=2_000,
    history_events=20_000,
    long_history_events=40_000,
    hot_smb_events=5_000,
    round_events=30_000,
    session_seconds=30,
    plain_events=100,
    latency_seconds=2,
    recalculated_smbs=5_000,
    footprint_events=10_000,
    api_smbs=1_000,
    api_rounds=1,
    api_seconds=0.2,
    imported_rows=5_000,
    import_rounds=1,
    disk_gigabytes=3,
)
EVENTS_PER_RECALCULATED_SMB = 20
EVENTS_PER_API_SMB = 30
