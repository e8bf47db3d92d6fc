"""In what two policies differ, without looking at any SMB."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.schemas.policy import Policy


class Setting(NamedTuple):
    """One setting, by its dotted name in the file, that is not the same in both policies."""

    name: str
    present: str
    proposed: str


def differing_settings(present: Policy, proposed: Policy) -> list[Setting]:
    """Give every setting that differs, in the order of the file. Two equal policies have none."""
    before, after = dict(_settings(present.model_dump())), dict(_settings(proposed.model_dump()))
    return [Setting(name, str(before[name]), str(after[name])) for name in before if before[name] != after[name]]


def _settings(part: object, name: str = "") -> Iterator[tuple[str, object]]:
    """All policies have the same shape, so every setting of one is in the other. Tiers are counted from 1."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _settings(value, f"{name}.{key}" if name else key)
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for number, value in enumerate(part, 1):
            yield from _settings(value, f"{name}.{number}")
    else:
        yield name, part
