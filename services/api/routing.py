"""How routes are declared: the least role comes from a table, and nothing is read before the credential is checked."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from services.api.errors import unexpected
from services.api.parts import Parts
from services.api.problems import Problem
from services.api.roles import LEAST_ROLES, Role
from services.engagement.views.score_history import InvalidRange
from services.records.errors import Refused
from shared.runtime import metrics


class GuardedRoute(APIRoute):
    """A route of the API. Declaring one that the table of roles does not know fails at the start (KeyError)."""

    is_upload = False

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401  FastAPI's own
        super().__init__(path, endpoint, **options)
        self.least_role = max(LEAST_ROLES[f"{method} {self.path}"] for method in self.methods or ())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Let in who may, then read no more than is allowed, for no longer than is allowed."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            admit(request, parts, self.least_role)
            settings = parts.settings
            if self.is_upload:
                return await _answered(handle(_bounded(request, settings.import_max_bytes)), request)
            bounded = _bounded(request, settings.http_body_max_bytes)
            if self.body_field is not None:
                _require_json(request)
                await _read(bounded, settings.http_request_seconds)
            try:
                async with asyncio.timeout(settings.http_request_seconds):
                    return await _answered(handle(bounded), request)
            except TimeoutError as error:
                detail = f"this took longer than {settings.http_request_seconds} seconds; nothing was changed"
                raise Problem(503, "too-slow", detail, headers={"Retry-After": "1"}) from error

        return guarded


class UploadRoute(GuardedRoute):
    """A route that takes a large file: as long as it arrives, up to the limit of imports."""

    is_upload = True


def admit(request: Request, parts: Parts, least_role: Role) -> None:
    """Check the credential, its rate and its role. Raises Problem 401, 429 or 403."""
    try:
        credential = parts.verifier.verify(request.headers.get("authorization"))
        parts.rates.count(credential)
        request.state.credential = credential
        _require(credential.role, least_role)
    except Problem as problem:
        metrics.HTTP_REFUSED.labels(problem.name).inc()
        raise


def _require(role: Role, least_role: Role) -> None:
    if role < least_role:
        detail = f"this needs the role {least_role.name.lower()}, and the credential's is {role.name.lower()}"
        raise Problem(403, "forbidden", detail)


def router(prefix: str, name: str, *, uploads: bool = False) -> APIRouter:
    """A router of guarded routes below `/api/v1`."""
    return APIRouter(prefix=prefix, tags=[name], route_class=UploadRoute if uploads else GuardedRoute)


async def _answered(answering: Coroutine[Any, Any, Response], request: Request) -> Response:
    """Make a problem of what nobody expected, here, where the request still has its id and its place in the log."""
    try:
        return await answering
    except (Problem, Refused, InvalidRange, RequestValidationError, HTTPException, TimeoutError):
        raise
    except Exception as error:
        raise unexpected(request, error) from error


async def _read(request: Request, seconds: int) -> None:
    """Have the whole body, or say why not; it is kept for whoever parses it. Raises Problem 408 or 413."""
    try:
        async with asyncio.timeout(seconds):
            await request.body()
    except TimeoutError as error:
        detail = f"the body did not arrive within {seconds} seconds"
        raise Problem(408, "body-too-slow", detail, headers={"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise Problem(400, "disconnected", "the client has gone") from error


def _require_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        detail = "the body must be application/json"
        raise Problem(415, "unsupported-media-type", detail, errors=[("Content-Type", detail)])


def _bounded(request: Request, most_bytes: int) -> Request:
    """The same request, whose body ends with Problem 413 where it becomes too long."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise _too_large(most_bytes)
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > most_bytes:
            raise _too_large(most_bytes)
        return message

    return Request(request.scope, receive_some)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, "too-large", f"the body may have {most_bytes} bytes", headers={"Connection": "close"})
