"""`smb-crm policy`: what the rules take from the operators."""

import typer

from services.cli import policy_diff
from services.cli.output import AsJson, say, say_json, table

app = typer.Typer(no_args_is_help=True, help="Look at the policy: weights, caps, tiers, send time.")


@app.callback()
def policy() -> None:
    """Look at the policy: weights, caps, tiers, send time."""


@app.command("show")
def show(as_json: AsJson = False) -> None:
    """Show the policy in force, and its version as announcements carry it.

    It is the TOML file that SMB_POLICY_FILE names, else the built-in one.
    """
    from shared.runtime.settings import load_settings
    from shared.runtime.worker import read_policy

    settings = load_settings()
    found = read_policy(settings)
    values = found.model_dump(mode="json")
    if as_json:
        say_json({"version": found.version, "file": settings.policy_file, **values})
        return
    say(f"policy {found.version}, from {settings.policy_file or 'the program itself'}")
    say()
    table("Score", ("what", "value"), _leaves(found.score.model_dump()))
    say()
    table(
        "Tiers",
        ("tier", "name", "from points", "description"),
        ((rule.tier, rule.name, rule.min_score, rule.description) for rule in found.tiers),
    )
    say()
    others = {name: values[name] for name in ("tier_changes", "campaign", "data_quality")}
    table("Everything else", ("what", "value"), _leaves(others))


app.command("diff")(policy_diff.diff)


def _leaves(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Flatten nested sections into dotted names."""
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
