"""Time zones, from the pinned `tzdata` package alone.

`zoneinfo` by itself prefers the machine's zone data, whose version nobody pins: two pods, or production and a replay,
could then disagree about a send moment. So the files are opened here, and never searched for.
"""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

UTC_NAME = "UTC"
"""The zone of an SMB without a community, or whose community has none."""

# The zone data's own mark for "not set up yet".
NOT_A_PLACE = "Factory"


class UnknownTimeZoneError(ValueError):
    """There is no such time zone."""

    def __init__(self, name: str) -> None:
        """Name the zone that was asked for."""
        super().__init__(f"there is no time zone {name!r}")


@cache
def known_zones() -> frozenset[str]:
    """Name every zone of the pinned data, aliases included."""
    return frozenset((files("tzdata") / "zones").read_text("utf-8").split()) - {NOT_A_PLACE}


def is_known_zone(name: str) -> bool:
    """Tell whether `name` is an IANA zone name exactly as the pinned data spells it."""
    return name in known_zones()


@cache
def time_zone(name: str) -> ZoneInfo:
    """Give the zone of that IANA name. Raises UnknownTimeZoneError. Each zone is read once in a process."""
    if not is_known_zone(name):
        raise UnknownTimeZoneError(name)
    with (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as zone_file:
        return ZoneInfo.from_file(zone_file, key=name)
