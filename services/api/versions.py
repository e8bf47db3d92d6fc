"""`ETag` and `If-Match` (RFC 9110): an update names the version that it was made from, and loses to a newer one."""

from typing import Annotated

from fastapi import Header

from services.api.problems import Problem

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        description="The `ETag` that the change was made from, or `*` for whatever is there now.",
        examples=["*"],
    ),
]


def etag(revision: int) -> str:
    """The strong validator of a revision."""
    return f'"{revision}"'


def expected_revision(if_match: str | None, *, required: bool = False) -> int | None:
    """The revision that `If-Match` names; None for `*` or where it is left out.

    Raises Problem 428 where it is required and missing, 422 for what is no ETag of ours.
    """
    if if_match is None:
        if required:
            detail = "a replacement needs If-Match, so that it doesn't undo what others changed meanwhile"
            raise Problem(428, "precondition-required", detail, errors=[("If-Match", "is missing")])
        return None
    if if_match.strip() == "*":
        return None
    inner = if_match.strip()
    if len(inner) < 3 or inner[0] != '"' or inner[-1] != '"' or not inner[1:-1].isdecimal():  # noqa: PLR2004
        reason = 'must be one ETag such as "3", or *'
        raise Problem(422, "invalid-field", f"If-Match: {reason}", errors=[("If-Match", reason)])
    return min(int(inner[1:-1]), 2**31 - 1)
