"""What was measured, as a table for people and as JSON for scripts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that was measured, once per round."""

    name: str
    unit: str
    rounds: Sequence[float]

    @property
    def median(self) -> float:
        """The middle of all rounds."""
        return median(self.rounds)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound: at least or at most so much."""

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        """Tell whether a value keeps the bound."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `ours`, the ratio of its median to that of `beside`, and the goal.

    The goal is about the ratio, or about the value itself where nothing stands beside it.
    """

    benchmark: str
    ours: Series
    beside: Series | None = None
    goal: Goal | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The median of ours divided by the other's."""
        return self.ours.median / self.beside.median if self.beside else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        judged = self.ours.median if self.ratio is None else self.ratio
        return self.goal.is_met(judged) if self.goal else None

    def as_json(self) -> dict[str, Any]:
        """Everything, with the value of each round."""
        return asdict(self) | {
            "median": self.ours.median,
            "beside_median": self.beside.median if self.beside else None,
            "ratio": self.ratio,
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
        }


def table(rows: Iterable[Row], title: str) -> Table:
    """All rows, with medians, ratios, goals and what became of them."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    shown.add_column("benchmark", overflow="fold")
    shown.add_column("measured", overflow="fold")
    shown.add_column("median", justify="right", no_wrap=True)
    shown.add_column("beside", overflow="fold")
    shown.add_column("median", justify="right", no_wrap=True)
    shown.add_column("ratio", justify="right", no_wrap=True)
    shown.add_column("goal", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for row in rows:
        met = {None: "", True: "[green]met[/green]", False: "[red]short[/red]"}[row.met]
        shown.add_row(
            row.benchmark,
            row.ours.name,
            amount(row.ours.median, row.ours.unit),
            row.beside.name if row.beside else "",
            amount(row.beside.median, row.beside.unit) if row.beside else "",
            f"{row.ratio:.3g}" if row.ratio is not None else "",
            str(row.goal or ""),
            met,
        )
    return shown


def amount(value: float, unit: str) -> str:
    """A number with its unit, with as many digits as mean something."""
    show: Callable[[float], str] = (
        (lambda x: f"{x:,.0f}") if value >= 100 else (lambda x: f"{x:.3g}")  # noqa: PLR2004  three digits
    )
    return f"{show(value)} {unit}"
