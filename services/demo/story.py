"""What happens in the demo, in order: history, newcomers, campaigns, live traffic, nightly triggers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic
from typing import NoReturn

from services.cli.status import under_way
from services.cli.trigger import TriggerName, publish
from services.demo.commands import CampaignDesk
from services.demo.errors import DemoFailed
from services.demo.office import Office
from services.demo.population import Population
from services.demo.publishing import Publisher
from services.demo.traffic import LiveTraffic, Sample, make_history
from services.demo.workers import Workers
from shared.runtime.database import Database
from shared.runtime.positions import Positions
from shared.runtime.settings import Settings
from shared.runtime.status import wait_idle
from shared.schemas.topics import Topics

# Another seed gives other businesses with other habits; the dates follow the day of the run anyway.
HISTORY_SEED, LIVE_SEED, COMMANDS_SEED = 2, 3, 4
# With a view, so many history events a second: one wants to see the tiers grow.
SHOWN_HISTORY_RATE = 2_500
SHOWN_SLICE_RECORDS = 250
# Live traffic is published so often.
TICK_SECONDS = 0.1
# In `--once`, live traffic is this share of the history.
LIVE_SHARE = 50
IDLE_SECONDS = 180.0
COMMAND_EVERY_SECONDS = 2.0
TRIGGERS_EVERY_SECONDS = 120.0


@dataclass(slots=True)
class Story:
    """Tells the story to running workers; `tell` says in a line what is going on."""

    population: Population
    settings: Settings
    database: Database
    positions: Positions
    publisher: Publisher
    office: Office
    workers: Workers
    tell: Callable[[str], None]
    events: int
    rate: float
    triggers_sent: int = 0

    async def once(self) -> None:
        """Tell it to its end, and wait until everything is at rest. Raises DemoFailed when it does not come to rest."""
        history = await self._begin()
        await self.publisher.publish_samples(history)
        self.tell(f"Published {len(history):,} events of 45 days")
        await self._idle("The workers have digested them")
        await self._newcomers()
        desk = CampaignDesk(Random(COMMANDS_SEED))
        await self._campaigns(desk)
        live = LiveTraffic(self.population, Random(LIVE_SEED))
        samples = max(1, self.events // LIVE_SHARE)
        await self._live(live, samples)
        self.tell(f"Published {samples:,} live events at {self.rate:g} a second")
        await self._idle("All is quiet")
        await self._trigger(TriggerName.ADVANCE)
        await self._trigger(TriggerName.RECALCULATE)
        await self._idle("The nightly advance and recalculation are done")
        await self._trigger(TriggerName.EVALUATE)
        await self._idle("The nightly evaluation of tiers is done")

    async def for_ever(self) -> NoReturn:
        """Tell it slowly enough to watch, and go on until cancelled."""
        history = await self._begin()
        self.tell(f"45 days of history: {len(history):,} events")
        for first in range(0, len(history), SHOWN_SLICE_RECORDS):
            began = monotonic()
            await self.publisher.publish_samples(history[first : first + SHOWN_SLICE_RECORDS])
            await asyncio.sleep(max(0, began + SHOWN_SLICE_RECORDS / SHOWN_HISTORY_RATE - monotonic()))
        await self._newcomers()
        desk = CampaignDesk(Random(COMMANDS_SEED))
        await self._campaigns(desk)
        live = LiveTraffic(self.population, Random(LIVE_SEED))
        triggers_at = 0.0
        while True:
            if monotonic() >= triggers_at:
                for trigger in (TriggerName.ADVANCE, TriggerName.RECALCULATE, TriggerName.EVALUATE):
                    await self._trigger(trigger)
                triggers_at = monotonic() + TRIGGERS_EVERY_SECONDS
            self.tell(
                f"live traffic, {self.rate:g} events a second; nightly triggers every two minutes;"
                f" API {self.office.url}/api/v1, token in {self.office.token_file}"
            )
            await self._live(live, max(1, round(self.rate * COMMAND_EVERY_SECONDS)))
            await self.publisher.publish([desk.any_command(self.population.known, datetime.now(UTC))])

    def addresses(self) -> list[str]:
        """What can be opened while the demo runs."""
        api = f"{self.office.url}/api/v1"
        return [f"{api}/openapi.json", f"{api}/smbs?sort=-score", f"{api}/communities"]

    async def _begin(self) -> list[Sample]:
        """Make the history while the workers get ready."""
        making = asyncio.to_thread(make_history, self.population, Random(HISTORY_SEED), self.events, datetime.now(UTC))
        history, _ = await asyncio.gather(making, self.workers.ready())
        self.tell("The workers engagement, tier, campaign and records, and the API, are ready")
        self.office.url = self.workers.api_url
        self.tell(await self.office.open())
        return history

    async def _newcomers(self) -> None:
        await self.office.create(self.population.newcomers)
        self.tell(f"Created {len(self.population.newcomers)} SMBs whose events came before them")

    async def _campaigns(self, desk: CampaignDesk) -> None:
        commands = desk.open_campaigns(self.population, datetime.now(UTC))
        await self.publisher.publish(commands)
        self.tell(f"Sent {len(commands)} campaign commands")

    async def _live(self, live: LiveTraffic, samples: int) -> None:
        """Publish so many samples at the rate, as they are made: each is of its moment."""
        began = monotonic()
        made = 0
        while made < samples:
            due = min(samples, int((monotonic() - began + TICK_SECONDS) * self.rate))
            now = datetime.now(UTC)
            await self.publisher.publish_samples([live.make(now) for _ in range(due - made)])
            made = max(made, due)
            await asyncio.sleep(TICK_SECONDS)

    async def _trigger(self, name: TriggerName) -> None:
        await publish(self.settings, name)
        self.triggers_sent += 1

    async def _idle(self, words: str) -> None:
        groups = Topics(self.settings.topic_prefix).groups()
        status = await wait_idle(self.database, self.positions, groups, IDLE_SECONDS)
        if not status.idle:
            raise DemoFailed(
                f"not at rest after {IDLE_SECONDS:.0f} s: {under_way(status)}; {await self.workers.problems()}"
            )
        self.tell(words)
