"""Checks that the migrations form one line: numbered without a gap, one after another, forward only.

`python -m shared.migrations.numbering` prints what is wrong and exits 1, or prints one line and exits 0.
"""

import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory


def numbering_problems(folder: Path) -> list[str]:
    """Return a line for each migration in the folder `versions` below that breaks the line; empty when none does."""
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    heads = script.get_heads()
    if len(heads) != 1:
        return [f"there must be one newest migration, found {len(heads)}: {', '.join(heads) or 'none'}"]
    problems = []
    previous = None
    for number, migration in enumerate(reversed(list(script.walk_revisions())), start=1):
        expected = f"{number:04}"
        name = Path(migration.path).name
        if migration.revision != expected or not name.startswith(f"{expected}_"):
            problems.append(f"{name}: its revision and its name must begin with {expected}")
        if migration.down_revision != previous:
            problems.append(f"{name}: must follow {previous}")
        if hasattr(migration.module, "downgrade"):
            problems.append(f"{name}: migrations only go forward, delete `downgrade`")
        previous = migration.revision
    return problems


def main() -> int:
    """Check the migrations of this package."""
    folder = Path(__file__).parent
    problems = numbering_problems(folder)
    count = len(list((folder / "versions").glob("*.py")))
    sys.stdout.writelines(f"{line}\n" for line in problems or [f"{count} migrations in one line"])
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
