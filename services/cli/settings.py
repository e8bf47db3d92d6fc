"""`smb-crm settings`: every setting, without its secrets."""

import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from services.cli.output import AsJson, say, say_json, table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HIDDEN = "***"
REQUIRED = "(required)"
MISSING = "(missing)"


class Setting(NamedTuple):
    """One setting; `value` is the present one, secrets hidden, `comes_from` where it was found."""

    name: str
    value: str | None
    default: str | None
    comes_from: str
    meaning: str


def settings(as_json: AsJson = False) -> None:
    """Show every setting: its meaning, its default and its present value.

    Each comes from an environment variable; a secret may come from a file that NAME_FILE names instead. Secrets and
    the database's password are never printed.
    """
    from shared.runtime.errors import WrongSettings
    from shared.runtime.settings import PREFIX, Settings, load_settings

    trouble: WrongSettings | None = None
    present: dict[str, Any] = {}
    try:
        present = dict(load_settings())
    except WrongSettings as error:
        trouble = error
    found = [
        _setting(PREFIX + name.upper(), field, present.get(name), is_valid=trouble is None)
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        say_json([one._asdict() for one in found])
    else:
        table(None, ("setting", "value", "default", "from", "meaning"), found)
        say()
        say("Each may also be given as a file: NAME_FILE=/path (for secrets).")
    if trouble is not None:
        raise trouble


def _setting(name: str, field: "FieldInfo", value: object, *, is_valid: bool) -> Setting:
    """Describe one setting; of one that may be wrong, what the environment says."""
    given = os.environ.get(name)
    comes_from = "environment" if given is not None else "default"
    if given is None and f"{name}_FILE" in os.environ and not name.endswith("_FILE"):
        comes_from = "file"
    is_secret = "SecretStr" in str(field.annotation)
    default = REQUIRED if field.is_required() else _shown(field.default, is_secret=False, is_url=False)
    present = _revealed(value) if is_valid else given
    shown = _shown(present, is_secret=is_secret, is_url=name.endswith("_URL"))
    if not is_valid and comes_from == "default":
        shown = MISSING if field.is_required() else default
    return Setting(name, shown, default, comes_from, field.description or "")


def _revealed(value: object) -> object:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _shown(value: object, *, is_secret: bool, is_url: bool) -> str | None:
    if value is None:
        return None
    if is_url:
        return without_password(str(value))
    return HIDDEN if is_secret else str(value)


def without_password(url: str) -> str:
    """A URL with its password hidden, wherever it stands; nothing of a text that is no URL."""
    try:
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")
    except ValueError:
        return HIDDEN
    if not parts.scheme or not parts.netloc:
        return HIDDEN
    user, colon, _ = address[0].partition(":")
    netloc = f"{user}{colon and ':' + HIDDEN}@{address[2]}" if address[1] else address[2]
    query = [
        (name, HIDDEN if "pass" in name.lower() or "secret" in name.lower() else value)
        for name, value in parse_qsl(parts.query)
    ]
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query, safe="*/")))
