"""Every file, function and test that docs/coverage.md names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    set(re.findall(r"`((?:services|shared|tests)/[\w./-]+(?:::\w+)?)`", (ROOT / "docs/coverage.md").read_text()))
)


@pytest.mark.parametrize("reference", NAMED)
def test_what_the_coverage_page_names_exists(reference: str) -> None:
    path, _, name = reference.partition("::")
    assert (ROOT / path).exists()
    if name:
        text = (ROOT / path).read_text()
        assert re.search(rf"^\s*(?:async def |def |class )?{name}\b", text, re.MULTILINE), reference


def test_the_page_names_something() -> None:
    assert len(NAMED) > 40
