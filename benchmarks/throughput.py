"""End-to-end events per second of the engagement worker: real processes, real topics, real tables."""

from time import perf_counter

from benchmarks import floor, plain_worker
from benchmarks.data import add_events, copy_tables, load_history, load_smbs, score_all, settle
from benchmarks.processes import BenchmarkFailed
from benchmarks.publishing import consumed, members, publish
from benchmarks.stage import Installation, Stage, until
from benchmarks.table import Goal, Row, Series
from benchmarks.traffic import Mix, records

EVENTS_PER_SECOND = "events/s"
HOT_SHARE = 0.2
# The hot SMB's events all lie within the window of the score.
HOT_DAYS = 29


async def run(stage: Stage) -> list[Row]:
    """Workers beside the floor and beside a plain worker, all in turn."""
    sizes = stage.sizes
    base = await base_installation(stage)
    stage.tell("Copying the tables for the floor and the plain worker")
    await copy_tables(base.connection)
    await settle(base.connection)
    one: list[float] = []
    two: list[float] = []
    floor_one: list[float] = []
    floor_two: list[float] = []
    plain: list[float] = []
    for number in range(1, sizes.throughput_rounds + 1):
        half, whole = (Mix(1000 + 10 * number + step, sizes.round_events // (2 - step), sizes.smbs) for step in (0, 1))
        one.append(await events_per_second(stage, base, 1, half))
        floor_one.append(await floor.events_per_second(stage, base, 1, half))
        two.append(await events_per_second(stage, base, 2, whole))
        floor_two.append(await floor.events_per_second(stage, base, 2, whole))
        plain.append(
            await plain_worker.events_per_second(stage, base, Mix(5000 + number, sizes.plain_events, sizes.smbs))
        )
        stage.tell(
            f"  round {number}: 1 worker {one[-1]:,.0f}, floor {floor_one[-1]:,.0f}; 2 workers {two[-1]:,.0f}, "
            f"floor {floor_two[-1]:,.0f}; plain worker {plain[-1]:,.0f} events/s"
        )
    two_workers = Series("2 workers", EVENTS_PER_SECOND, two)
    return [
        Row(
            "throughput",
            Series("1 worker", EVENTS_PER_SECOND, one),
            Series("floor, 1 process", EVENTS_PER_SECOND, floor_one),
        ),
        Row("throughput", two_workers, Series("floor, 2 processes", EVENTS_PER_SECOND, floor_two), Goal(at_least=0.5)),
        Row("throughput", two_workers, Series("plain worker", EVENTS_PER_SECOND, plain), Goal(at_least=60)),
    ]


async def run_hot(stage: Stage) -> list[Row]:
    """One SMB with a very long window and a fifth of the traffic, beside traffic that is spread evenly.

    With one worker: two would also show that a fifth of the traffic in one partition can't be shared evenly, which is
    not what this asks.
    """
    sizes = stage.sizes
    base = await base_installation(stage)
    hot = sizes.smbs + 1
    stage.tell(f"Giving one SMB {sizes.hot_smb_events:,} events in its window")
    await load_smbs(base.connection, hot, hot)
    await add_events(base.connection, first_smb=hot, smbs=1, events=sizes.hot_smb_events, days=HOT_DAYS)
    await settle(base.connection)
    even: list[float] = []
    uneven: list[float] = []
    for number in range(1, sizes.rounds + 1):
        even.append(await events_per_second(stage, base, 1, Mix(2000 + number, sizes.round_events, sizes.smbs)))
        uneven.append(
            await events_per_second(stage, base, 1, Mix(3000 + number, sizes.round_events, sizes.smbs, hot, HOT_SHARE))
        )
        stage.tell(f"  round {number}: hot {uneven[-1]:,.0f}, uniform {even[-1]:,.0f} events/s")
    return [
        Row(
            "hot SMB",
            Series(f"1 worker, {HOT_SHARE:.0%} for one SMB", EVENTS_PER_SECOND, uneven),
            Series("1 worker, uniform", EVENTS_PER_SECOND, even),
            Goal(at_least=0.9),
            {"events_in_the_hot_window": sizes.hot_smb_events},
        )
    ]


async def run_history(stage: Stage) -> list[Row]:
    """The same traffic on a database with ten times the history."""
    sizes = stage.sizes
    base = await base_installation(stage)

    async def fill(installation: Installation) -> None:
        await fill_with(stage, installation, sizes.long_history_events)

    long = await stage.installation("long", fill)
    base_rates: list[float] = []
    long_rates: list[float] = []
    for number in range(1, sizes.rounds + 1):
        mix = Mix(4000 + number, sizes.round_events, sizes.smbs)
        base_rates.append(await events_per_second(stage, base, 2, mix))
        long_rates.append(await events_per_second(stage, long, 2, mix))
        stage.tell(f"  round {number}: long {long_rates[-1]:,.0f}, base {base_rates[-1]:,.0f} events/s")
    await stage.drop("long")
    return [
        Row(
            "long history",
            Series(f"2 workers, {sizes.long_history_events / 1e6:g} M events", EVENTS_PER_SECOND, long_rates),
            Series(f"2 workers, {sizes.history_events / 1e6:g} M events", EVENTS_PER_SECOND, base_rates),
            Goal(at_least=0.8),
        )
    ]


async def base_installation(stage: Stage) -> Installation:
    """The installation that most benchmarks use."""

    async def fill(installation: Installation) -> None:
        await fill_with(stage, installation, stage.sizes.history_events)

    return await stage.installation("base", fill)


async def fill_with(stage: Stage, installation: Installation, history_events: int) -> None:
    """SMBs with a history, scored, at rest."""
    stage.tell(f"Making {stage.sizes.smbs:,} SMBs with {history_events:,} events of history ({installation.name})")
    began = perf_counter()
    await load_smbs(installation.connection, 1, stage.sizes.smbs)
    await load_history(installation.connection, stage.sizes.smbs, history_events)
    await score_all(installation.connection, installation.database)
    await settle(installation.connection)
    stage.tell(f"  made in {perf_counter() - began:.0f} s")


async def events_per_second(stage: Stage, installation: Installation, workers: int, mix: Mix) -> float:
    """Let so many workers read the events of a mix from topics that hold them all already.

    Every worker is ready, has its partitions and stands still while the topics are filled; then all go on at once. The
    clock runs from that moment until the last batch is committed, and all events count: neither start-up nor publishing
    does. Raises BenchmarkFailed where they stood still for so long that they lost their partitions.
    """
    before = await consumed(installation)
    running = [stage.processes.worker(installation.environment) for _ in range(workers)]

    async def all_have_begun() -> bool:
        joined = await members(installation, installation.group) == workers
        # A member may still be comparing its positions, and that is a part of its start.
        return joined and all([await worker.is_ready() for worker in running])

    async def all_are_in() -> bool:
        return await consumed(installation) >= before + published

    await until(all_have_begun, stage.processes)
    stood_still = perf_counter()
    for worker in running:
        worker.freeze()
    published = await publish(installation, records(mix))
    await installation.connection.execute("CHECKPOINT")
    began = perf_counter()
    if began - stood_still > stage.sizes.session_seconds:
        message = f"filling the topics took {began - stood_still:.0f} s: give workers longer than session_seconds"
        raise BenchmarkFailed(message)
    for worker in running:
        worker.thaw()
    await until(all_are_in, stage.processes)
    seconds = perf_counter() - began
    await stage.processes.end(*running)
    return published / seconds
