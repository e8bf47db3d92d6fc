"""What a run tells while it goes on, and what it keeps of every benchmark that came to its end."""

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from rich.console import Console

from benchmarks.sizes import Sizes
from benchmarks.table import Row, table


class Report:
    """Lines of progress with the seconds since the start, and rows; a file has those of all finished benchmarks."""

    def __init__(self, console: Console, sizes: Sizes, file: Path | None) -> None:
        """Raises OSError where the file can't be written: better now than after an hour."""
        self._console = console
        self._sizes = sizes
        self._file = file
        self._began = perf_counter()
        self._rows: list[Row] = []
        self.servers = ""
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("a").close()

    @property
    def seconds(self) -> float:
        """Since the start of the run, the servers' included."""
        return perf_counter() - self._began

    def tell(self, line: str) -> None:
        """Print a line of progress."""
        self._console.print(f"{self.seconds:5.0f} s  {line}")

    def begin(self, name: str, meaning: str) -> None:
        """Head the lines of one benchmark."""
        self._console.rule(f"{self.seconds:5.0f} s  {name}: {meaning}", align="left")

    def finish(self, rows: Sequence[Row]) -> None:
        """Keep the rows of a benchmark at once, because the next one may be interrupted."""
        self._rows += rows
        if self._file is not None:
            document = {
                "sizes": self._sizes.name,
                "seconds": self.seconds,
                "servers": self.servers,
                "rows": [row.as_json() for row in self._rows],
            }
            self._file.write_text(json.dumps(document, indent=2) + "\n")

    def close(self) -> None:
        """Print the table of what came to its end, if anything did."""
        if self._rows:
            self._console.print(table(self._rows, f"Medians, {self._sizes.name} sizes, {self.seconds:.0f} s"))
            self._console.print(self.servers, style="dim")
