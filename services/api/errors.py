"""What becomes of an error: a problem detail, always; what is ours is logged and told as little as possible."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.api.problems import Problem
from services.api.roles import PREFIX, methods_of
from services.engagement.views.score_history import InvalidRange
from services.records.errors import InvalidField, Refused, RevisionMismatch, SmbDeleted, UnknownCommunity, UnknownSmb
from services.records.files.errors import FileRefused, TooManyRows
from shared.runtime.errors import is_temporary, is_too_slow, one_line, way_of
from shared.runtime.logs import logger
from shared.schemas.bad_message import in_words

_STATUSES: dict[type[Refused], int] = {
    InvalidField: 422,
    UnknownCommunity: 422,
    UnknownSmb: 404,
    SmbDeleted: 404,
    RevisionMismatch: 412,
    FileRefused: 422,
    TooManyRows: 413,
}
# What a request says elsewhere than the services call it.
_FIELDS: dict[type[Refused], str] = {RevisionMismatch: "If-Match"}
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAMES = {404: "not-found", 405: "method-not-allowed", 415: "unsupported-media-type", 400: "bad-request"}
_BODY_IS_NO_JSON = "json_invalid"
# Where a parameter stands is told by its name alone; steps inside the body are joined by dots.
_PLACES = frozenset({"body", "query", "path", "header"})


def register(app: FastAPI) -> None:
    """Answer every error of this app with a problem detail."""
    handlers: dict[type[Exception], Callable[[Request, Any], Problem]] = {
        Problem: lambda _, problem: problem,
        Refused: lambda _, refused: problem_of(refused),
        InvalidRange: lambda _, error: Problem(422, "invalid-field", str(error), errors=[(error.field, error.reason)]),
        RequestValidationError: lambda _, error: _invalid(error.errors()),
        HTTPException: _of_http,
        Exception: unexpected,
    }
    for kind, make in handlers.items():
        app.add_exception_handler(kind, _answering(make))


def problem_of(refused: Refused) -> Problem:
    """The problem for what a service refuses: its kind is the name of the error, 409 unless it says otherwise."""
    status = next((status for kind, status in reversed(_STATUSES.items()) if isinstance(refused, kind)), 409)
    if isinstance(refused, UnknownCommunity) and refused.field == "id":  # the address names it, not the body
        status = 404
    name = _CAPITAL.sub("-", type(refused).__name__).lower()
    field = _FIELDS.get(type(refused), refused.field)
    return Problem(status, name, f"{field}: {refused.reason}", errors=[(field, refused.reason)])


def _answering(make: Callable[[Request, Any], Problem]) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        return make(request, error).response(getattr(request.state, "request_id", None))

    return answer


def _of_http(request: Request, error: HTTPException) -> Problem:
    name, headers = _NAMES.get(error.status_code, "refused"), error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The router names the methods of the first route of this path only.
        headers = {"Allow": ", ".join(methods_of(request.url.path.removeprefix(PREFIX)))}
    return Problem(error.status_code, name, str(error.detail), headers=headers)


def _invalid(complaints: Sequence[Any]) -> Problem:
    if any(complaint["type"] == _BODY_IS_NO_JSON for complaint in complaints):
        return Problem(400, "not-json", "the body is no JSON", errors=[("body", "is no JSON")])
    errors = [(_field(complaint["loc"]), in_words(complaint)) for complaint in complaints]
    return Problem(422, "invalid-field", "; ".join(f"{field}: {reason}" for field, reason in errors), errors=errors)


def _field(location: Sequence[int | str]) -> str:
    steps = [str(step) for step in location]
    return ".".join(steps[1:] if len(steps) > 1 and steps[0] in _PLACES else steps)


def unexpected(request: Request, error: Exception) -> Problem:
    """The problem for what is no refusal: trouble that passes, or an error of ours, which only the log tells whole."""
    if is_temporary(error) or is_too_slow(error):
        logger().warning("request failed for a temporary cause", error=one_line(error), path=request.url.path)
        detail = "the database is away or busy; nothing was changed"
        return Problem(503, "unavailable", detail, headers={"Retry-After": "1"})
    logger().error("request failed", error=one_line(error), way=way_of(error), path=request.url.path)
    return Problem(500, "internal-error", "an error of ours; nothing was changed")
