"""Around every request: its id, one line in the log, its seconds, and headers that every answer has."""

import re
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime import metrics
from shared.runtime.logs import logger

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
ALIAS, NAME = "/api/v1/customers", "/api/v1/smbs"
# An answer is the tenant's own business: it is kept by no cache in between and run by no browser.
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
UNKNOWN_ROUTE = "none"
# Of the methods that HTTP knows; what somebody invents would be a label of its own.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Surroundings:
    """Pure ASGI, so that a stream stays a stream. A client's own `X-Request-Id` is used when it is sane."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == ALIAS or scope["path"].startswith(ALIAS + "/"):
            scope["path"] = NAME + scope["path"].removeprefix(ALIAS)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SANE_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                _note(scope, status, perf_counter() - began)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
    method = scope["method"] if scope["method"] in METHODS else "other"
    metrics.HTTP_SECONDS.labels(method, route, f"{status // 100}xx").observe(seconds)
    credential = scope.get("state", {}).get("credential")
    logger().info(
        "request",
        method=method,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 1),
        tenant_id=str(credential.tenant_id) if credential else None,
        subject=credential.subject if credential else None,
    )
