"""The golden samples: messages as bytes, as other teams have sent them or read them ever since.

A sample is its headers, one on each line, an empty line, and the body.
"""

from dataclasses import dataclass
from importlib.resources import files

SAMPLES = files("shared.schemas") / "samples"


@dataclass(frozen=True)
class Sample:
    """One sample as the record that a consumer gets; its topic is that of its type."""

    name: str
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    topic: str = "any"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_772_357_400_000

    @property
    def type(self) -> str:
        return self.name.split(".")[0]

    @property
    def mode(self) -> str:
        return self.name.split(".")[1]


def read_samples() -> list[Sample]:
    """Return all samples, by name."""
    return [_read(entry.name, entry.read_bytes()) for entry in sorted(SAMPLES.iterdir(), key=lambda entry: entry.name)]


def _read(name: str, content: bytes) -> Sample:
    head, value = content.split(b"\n\n", 1)
    pairs = (line.split(b": ", 1) for line in head.split(b"\n"))
    return Sample(name, tuple((key.decode(), text) for key, text in pairs), value)
