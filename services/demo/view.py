"""The live view in the terminal: what goes in, what comes out, and where everybody stands."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from time import monotonic
from uuid import UUID

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.demo.reader import AnnouncementReader
from services.demo.store import Glance, glance
from shared.runtime.database import Database
from shared.runtime.positions import Positions
from shared.runtime.status import Status, read_status
from shared.schemas.policy import Policy
from shared.schemas.topics import ENGAGEMENT_TOPICS, Topics

REFRESH_SECONDS = 1.0
RATES_KEPT = 40
BLOCKS = " ▁▂▃▄▅▆▇█"
BAR_WIDTH = 30
STATUS_COLOURS = {"running": "green", "scheduled": "cyan", "paused": "yellow", "completed": "blue", "cancelled": "red"}
TIER_COLOURS = ("bright_magenta", "green", "yellow", "grey62")
EVENT_TOPICS = frozenset(ENGAGEMENT_TOPICS.values())


class View:
    """Draws once a second; `say` changes the line that tells what the demo is at."""

    def __init__(self, reader: AnnouncementReader, names: Mapping[UUID, str], policy: Policy) -> None:
        self._reader = reader
        self._names = names
        self._policy = policy
        self._rates: deque[float] = deque([0.0], maxlen=RATES_KEPT)
        self._began = monotonic()
        self._doing = ""

    def say(self, line: str) -> None:
        """Show this in the title from now on."""
        self._doing = line

    async def run(self, database: Database, positions: Positions, topics: Topics) -> None:
        """Show the view until cancelled; the terminal is then as it was before."""
        read, looked = 0, monotonic()
        with Live(screen=True, auto_refresh=False) as live:
            while True:
                status = await read_status(database, positions, topics.groups())
                seen = await glance(database, topics)
                now = monotonic()
                self._rates.append(max(0, seen.records_read - read) / max(now - looked, 0.1))
                read, looked = seen.records_read, now
                live.update(self.draw(seen, status, topics), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

    def draw(self, seen: Glance, status: Status, topics: Topics) -> Layout:
        """The whole screen."""
        whole = Layout()
        whole.split_column(Layout(self._title(), size=1), Layout(name="upper", size=9), Layout(name="lower"))
        whole["upper"].split_row(
            Layout(Panel(self._events(seen, topics), title="Events in")),
            Layout(Panel(self._tiers(seen.tiers), title="Tiers"), ratio=2),
        )
        whole["lower"].split_row(
            Layout(Panel(self._announcements(), title="Announcements on smb.events"), ratio=2), Layout(name="side")
        )
        whole["side"].split_column(
            Layout(Panel(self._campaigns(seen.campaigns), title="Campaigns")),
            Layout(Panel(_dead_letters(seen), title="Dead letters")),
            Layout(Panel(_under_way(status, topics), title="Under way")),
        )
        return whole

    def _title(self) -> Text:
        minutes, seconds = divmod(int(monotonic() - self._began), 60)
        return Text.assemble(
            (" smb-crm demo ", "bold reverse"), f" {minutes}:{seconds:02d}  {self._doing}  ", ("Ctrl-C ends it", "dim")
        )

    def _events(self, seen: Glance, topics: Topics) -> RenderableType:
        group = topics.group("engagement")
        repeated = sum(seen.repeated.get((group, topic), 0) for topic in EVENT_TOPICS)
        parked = sum(count for (topic, _), count in seen.dead_letters.items() if topic in EVENT_TOPICS)
        rows = [
            ("applied", seen.records_read - repeated - parked),
            ("repeated", repeated),
            ("dead letters", parked),
        ]
        return Group(
            Text(f"{self._rates[-1]:,.0f} a second", style="bold"),
            Text(sparkline(self._rates), style="cyan"),
            Text(),
            _counts(rows),
        )

    def _tiers(self, tiers: Mapping[int, int]) -> RenderableType:
        most = max(tiers.values(), default=0) or 1
        table = Table.grid(padding=(0, 1))
        for tier, colour in zip(self._policy.tiers, TIER_COLOURS, strict=False):
            smbs = tiers.get(tier.tier, 0)
            table.add_row(
                f"{tier.tier} {tier.name}",
                Text(f"from {tier.min_score}", style="dim"),
                Text("█" * max(1 if smbs else 0, round(BAR_WIDTH * smbs / most)), style=colour),
                f"{smbs:,}",
            )
        return table

    def _announcements(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for told in reversed(self._reader.latest):
            name = self._names.get(told.smb_id, str(told.smb_id))
            style = {"SMBTierChanged": "bold magenta", "SMBCampaignChanged": "green"}.get(told.type, "")
            when = told.time.astimezone(UTC).strftime("%H:%M:%S")
            table.add_row(Text(when, style="dim"), Text(name, no_wrap=True), Text(told.words, style=style))
        return table

    def _campaigns(self, campaigns: Mapping[str, int]) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for status, smbs in sorted(campaigns.items(), key=lambda one: -one[1]):
            table.add_row(Text(status, style=STATUS_COLOURS.get(status, "dim")), f"{smbs:,}")
        return table


def sparkline(values: Iterable[float]) -> str:
    """One character for each value, as high as its root is beside the highest's: a burst leaves the rest visible."""
    listed = list(values)
    highest = max(listed, default=0) or 1
    return "".join(BLOCKS[round(sqrt(value / highest) * (len(BLOCKS) - 1))] for value in listed)


def _dead_letters(seen: Glance) -> RenderableType:
    classes: dict[str, int] = {}
    for (_, error_class), letters in seen.dead_letters.items():
        classes[error_class] = classes.get(error_class, 0) + letters
    return _counts(sorted(classes.items(), key=lambda one: -one[1])) if classes else Text("none", style="dim")


def _under_way(status: Status, topics: Topics) -> RenderableType:
    rows = [(f"{group.removeprefix(topics.prefix)} to read", lag) for group, lag in status.lag_records.items() if lag]
    rows.append(("outbox", status.outbox_messages))
    parts: list[RenderableType] = [_counts(rows)]
    parts += [Text(f"{run.name} {run.shards_done}/{run.shards_total}", style="cyan") for run in status.open_runs]
    parts.append(Text(datetime.now(UTC).strftime("%H:%M:%S UTC"), style="dim"))
    return Group(*parts)


def _counts(rows: Sequence[tuple[str, int]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    return table
