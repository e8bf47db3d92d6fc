"""Messages that can never be applied, and the words that dead letters use for why."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.schemas.fields import FULL_DATE, RFC_3339, WITHOUT_NUL

REASON_MAX_CHARACTERS = 500
SHOWN_MAX_CHARACTERS = 80

_NOT_JSON = frozenset({"json_invalid", "json_type"})
# Instead of the parser's words, which would quote the pattern.
_PLAIN_WORDS = {
    WITHOUT_NUL: "must not contain NUL",
    RFC_3339: "must be an RFC 3339 time with an offset",
    FULL_DATE: "must be a date, written YYYY-MM-DD",
}


def printable(text: str, longest: int = SHOWN_MAX_CHARACTERS) -> str:
    """Return a text as one line without control characters or lone surrogates, cut to `longest` characters."""
    shown = text[:longest] + ("…" if len(text) > longest else "")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)


class BadMessage(Exception):
    """A message that can never be applied: a dead letter.

    `str()` is a one-line reason that names the field, without NUL and with at most 500 characters; `error_class` is a
    stable word for metrics: no_body, too_large, bad_header, not_json, missing_field, wrong_field, unknown_type,
    subject_differs, time_ahead, unknown_smb, too_many_services. `claimed_type` is the type that the message says it
    has, if it says so readably.
    """

    def __init__(self, error_class: str, reason: str, claimed_type: str | None = None) -> None:
        """Keep the word, the reason (made printable and short) and the claimed type."""
        super().__init__(printable(reason, REASON_MAX_CHARACTERS - 1))
        self.error_class = error_class
        self.claimed_type = claimed_type


class UnknownType(BadMessage):
    """A message of a type that is not among those asked for."""


def bad_field(error: ValidationError, *, prefix: str = "", path_from: int = 0) -> BadMessage:
    """Return the bad message for the parser's complaints: about the type if there is one, else the first.

    `prefix` goes before the field's name, the first `path_from` steps of its path are left out. What the sender wrote
    is not quoted: it may be private, and huge.
    """
    complaints = error.errors(include_url=False, include_input=False)
    for complaint in complaints:
        wrong_literal = complaint["type"] == "literal_error" and complaint["loc"] == ("type",)
        if wrong_literal or complaint["type"] == "union_tag_invalid":
            return UnknownType("unknown_type", "type: not one that is expected here")
        if complaint["type"] == "union_tag_not_found":
            return BadMessage("missing_field", "type: Field required")
    first = complaints[0]
    if first["type"] in _NOT_JSON:
        return BadMessage("not_json", f"body: {first['msg']}")
    error_class = "missing_field" if first["type"] == "missing" else "wrong_field"
    path = ".".join(str(step) for step in first["loc"][path_from:])
    field = f"{prefix}{path}".rstrip(".") or "body"
    return BadMessage(error_class, f"{field}: {in_words(first)}")


def in_words(complaint: ErrorDetails) -> str:
    """Say what is wrong with a field, in our words where the parser would quote a pattern."""
    pattern = complaint.get("ctx", {}).get("pattern")
    return _PLAIN_WORDS[pattern] if pattern in _PLAIN_WORDS else complaint["msg"]
