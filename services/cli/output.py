"""How commands print: tables and lines for people on standard output, JSON for scripts, progress on a terminal only."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

# What people see where there is no value.
NOTHING = "-"
# Lines that a program reads are not folded.
WIDEST_CHARACTERS = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts instead of text for people.")]


# Moves a bar on by so many steps, and says what is being done ("" leaves the words as they are).
Advance = Callable[[int, str], None]


def say(line: str = "") -> None:
    """Print one line for people."""
    sys.stdout.write(f"{line}\n")


def say_json(document: object) -> None:
    """Print one JSON document; moments become RFC 3339, ids texts."""
    sys.stdout.write(json.dumps(document, default=plain, indent=2, ensure_ascii=False) + "\n")


def plain(value: object) -> str:
    """What JSON has no type for, as a text."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def moment(value: datetime | None) -> str:
    """A moment for people: UTC, to the second; a dash where there is none."""
    return NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers stand right. As wide as it needs to be where the output is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[place], int | float) for row in listed)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=place == 0)
    for row in listed:
        # Text, so that brackets in what other people wrote are not taken for markup.
        drawn.add_row(*(Text(NOTHING if value is None else str(value)) for value in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDEST_CHARACTERS)
        console.width = console.measure(drawn).maximum
    console.print(drawn)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show a bar on standard error while it is a terminal; what it gives does nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _by, _text: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(by: int, text: str) -> None:
            nonlocal what
            what = text or what
            bar.update(task, advance=by, description=what)

        yield advance


def printable_bytes(value: bytes | None, longest: int) -> str:
    """Bytes as one readable text: what is not printable UTF-8 is escaped, what is longer is cut and counted."""
    if value is None:
        return "(none)"
    text = value[:longest].decode("utf-8", errors="backslashreplace")
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return shown if len(value) <= longest else f"{shown}… ({len(value)} bytes in all)"
