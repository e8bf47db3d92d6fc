"""Puts the demo on: servers, a room, workers, people; tells the story; and clears everything away at the end."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic

from deploy.local import LocalStackError, Stack, start_stack
from deploy.local.folder import FolderLock
from services.demo import closing
from services.demo.ending import Ending, guarded, to_the_end
from services.demo.errors import DemoFailed
from services.demo.office import Office
from services.demo.population import make_population
from services.demo.publishing import Publisher
from services.demo.reader import AnnouncementReader
from services.demo.room import Room, choose_room, clear_left_overs, environment, make_room, remove_room
from services.demo.story import Story
from services.demo.summary import Summary
from services.demo.view import View
from services.demo.workers import Workers
from shared.migrations.runner import migrate
from shared.runtime.database import Database
from shared.runtime.positions import Positions
from shared.runtime.settings import Settings, load_settings
from shared.runtime.topic_admin import create_topics
from shared.runtime.worker import read_policy
from shared.schemas.topics import Topics

FOLDER = Path(".local") / "demo"
POPULATION_SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a demo: SMBs, history events, live events a second; `once` ends by itself."""

    once: bool
    smbs: int
    events: int
    rate: float


class Teller:
    """Prints lines with the seconds since the start, unless a view has the terminal."""

    def __init__(self) -> None:
        self._began = monotonic()

    def __call__(self, line: str) -> None:
        """Print one line at once, also into a pipe. A terminal or pipe that was closed must not hold up the end."""
        with suppress(OSError):
            sys.stdout.write(f"{monotonic() - self._began:6.1f} s  {line}\n")
            sys.stdout.flush()


async def run(plan: Plan) -> None:
    """Run the demo to its end, or until Ctrl-C. Raises DemoFailed; nothing runs any more then, nor afterwards."""
    say = Teller()
    ending = Ending(say)
    try:
        summary = await perform(plan, say)
    except asyncio.CancelledError:
        if plan.once or not ending.asked:
            raise DemoFailed("the demo was interrupted before its end; everything is stopped") from None
        return
    except LocalStackError as error:
        raise DemoFailed(str(error)) from error
    except DemoFailed as failed:
        sys.stderr.writelines(f"  {line}\n" for line in failed.details)
        raise
    if summary is None:
        return
    sys.stdout.write("\n" + "\n".join(summary.lines()) + "\n")
    sys.stdout.flush()
    if problems := list(summary.problems()):
        raise DemoFailed(f"the numbers are wrong: {'; '.join(problems)}")


async def perform(plan: Plan, say: Callable[[str], None]) -> Summary | None:
    """Do everything between two clean machines; returns the summary of `--once`."""
    folder = FOLDER.absolute()
    async with AsyncExitStack() as cleared:
        lock = FolderLock(folder)
        cleared.callback(lock.release)
        workers = Workers(folder)
        if left := workers.end_leftovers():
            say(f"Ended {left} processes that a killed demo had left behind")
        stack = await to_the_end(lambda: start_stack(folder / "servers", say), Stack.stop)
        cleared.push_async_callback(_stop_servers, stack, say)
        room = choose_room(stack.database_url, datetime.now(UTC))
        settings = await _open(room, stack, cleared, say)
        cleared.push_async_callback(_stop_workers, workers, say)
        await workers.start(os.environ)
        return await guarded(_perform(plan, settings, workers, say), workers.watch())


async def _open(room: Room, stack: Stack, cleared: AsyncExitStack, say: Callable[[str], None]) -> Settings:
    """Take the room: this process and all that it starts get its settings."""
    variables = environment(room, stack.bootstrap_servers, os.environ, somebody_elses=stack.is_somebody_elses)
    os.environ.clear()
    os.environ.update(variables)
    settings = load_settings()
    if stack.is_somebody_elses:
        # Before there is anything: an end that comes meanwhile must leave nothing either.
        cleared.push_async_callback(remove_room, room, settings)
    else:
        await clear_left_overs(room.server_url, settings)
    await make_room(room)
    say(f"Database {room.database}, topics {room.topic_prefix}…")
    return settings


async def _perform(plan: Plan, settings: Settings, workers: Workers, say: Callable[[str], None]) -> Summary | None:
    await asyncio.gather(migrate(settings.database_url.get_secret_value()), create_topics(settings))
    policy = read_policy(settings)
    topics = Topics(settings.topic_prefix)
    population = make_population(Random(POPULATION_SEED), plan.smbs)
    database = Database.create(settings.database_url.get_secret_value(), application="smb-crm demo")
    reader = AnnouncementReader(settings)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(database.close)
        positions = await opened.enter_async_context(Positions(settings))
        publisher = await opened.enter_async_context(Publisher(settings))
        story = Story(
            population,
            settings,
            database,
            positions,
            publisher,
            Office(settings, population, FOLDER / "token"),
            workers,
            say,
            plan.events,
            plan.rate,
        )
        if plan.once:
            await guarded(closing.to_the_last_announcement(story, reader), reader.run())
            say("Verifying: every score, tier, campaign day and sequence is computed anew")
            return await closing.summarise(story, reader, policy)
        view = View(reader, population.names(), policy)
        story.tell = view.say
        view.say("The workers engagement, tier, campaign and records are getting ready")
        await guarded(story.for_ever(), reader.run(), view.run(database, positions, topics))
    return None


async def _stop_workers(workers: Workers, say: Callable[[str], None]) -> None:
    say("Stopping the workers")
    await workers.stop()


async def _stop_servers(stack: Stack, say: Callable[[str], None]) -> None:
    if not stack.is_somebody_elses:
        say("Stopping the servers")
    await asyncio.to_thread(stack.stop)
    say(f"Everything is stopped; the logs are in {FOLDER}")
