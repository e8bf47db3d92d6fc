"""The migrations form one line."""

from pathlib import Path

import pytest

import shared.migrations
from shared.migrations.numbering import main, numbering_problems


def write_migrations(folder: Path, *migrations: tuple[str, str, str | None], more: str = "") -> Path:
    """Write migrations given as file name, revision and previous revision."""
    (folder / "versions").mkdir()
    for name, revision, previous in migrations:
        lines = f"revision = {revision!r}\ndown_revision = {previous!r}\ndef upgrade():\n    pass\n{more}"
        (folder / "versions" / name).write_text(lines)
    return folder


def test_ours_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert numbering_problems(Path(shared.migrations.__file__).parent) == []
    assert main() == 0
    assert "in one line" in capsys.readouterr().out


def test_two_newest_migrations_are_a_fork(tmp_path: Path) -> None:
    folder = write_migrations(
        tmp_path, ("0001_a.py", "0001", None), ("0002_b.py", "0002", "0001"), ("0003_c.py", "0003", "0001")
    )

    assert numbering_problems(folder) == ["there must be one newest migration, found 2: 0002, 0003"]


def test_a_gap_in_the_numbers_is_named(tmp_path: Path) -> None:
    folder = write_migrations(tmp_path, ("0001_a.py", "0001", None), ("0003_c.py", "0003", "0001"))

    assert numbering_problems(folder) == ["0003_c.py: its revision and its name must begin with 0002"]


def test_a_file_that_is_named_unlike_its_revision_is_named(tmp_path: Path) -> None:
    folder = write_migrations(tmp_path, ("0007_a.py", "0001", None))

    assert numbering_problems(folder) == ["0007_a.py: its revision and its name must begin with 0001"]


def test_a_way_back_is_refused(tmp_path: Path) -> None:
    folder = write_migrations(tmp_path, ("0001_a.py", "0001", None), more="def downgrade():\n    pass\n")

    assert numbering_problems(folder) == ["0001_a.py: migrations only go forward, delete `downgrade`"]
