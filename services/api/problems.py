"""Errors as RFC 9457 problem details: a stable type, a sentence, and the fields that are wrong."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:smb-crm:problem:"


class FieldError(BaseModel):
    """One field of the request that can't be taken as it is."""

    field: str = Field(description="Where: a field of the body, a parameter or a header.", examples=["primary_email"])
    reason: str = Field(description="Why, in words.", examples=["must have one @ and a domain with a dot"])


class ProblemDetail(BaseModel):
    """What every error looks like (RFC 9457, with the fields and the request's id as extensions)."""

    type: str = Field(description="Stable name of the kind of problem.", examples=["urn:smb-crm:problem:invalid-field"])
    title: str = Field(description="The HTTP status in words.", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, in a sentence.")
    errors: list[FieldError] = Field(default=[], description="The fields that are wrong; empty when none is.")
    request_id: str | None = Field(default=None, description="Names this request in the logs.")


class Problem(Exception):
    """A request that ends in an error. `name` is the kind, `errors` the fields with their reasons."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def response(self, request_id: str | None) -> Response:
        """The answer to the client."""
        detail = ProblemDetail(
            type=TYPE_PREFIX + self.name,
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            errors=[FieldError(field=field, reason=reason) for field, reason in self.errors],
            request_id=request_id,
        )
        return Response(detail.model_dump_json(), self.status, self.headers, MEDIA_TYPE)


# Any request may meet these: a broken one, a wrong credential, too many of them, servers that are away.
EVERYWHERE = (400, 401, 403, 408, 413, 422, 429, 500, 503)
_MEANINGS = {
    400: "The request can't be read.",
    401: "There is no valid credential.",
    403: "The credential's role may not do this.",
    404: "The tenant has no such thing.",
    408: "The body did not arrive in time.",
    409: "The present state does not allow it.",
    412: "It was changed meanwhile: `If-Match` names an older version.",
    413: "The body is too large.",
    415: "The body is of a type that is not understood here.",
    422: "A field is wrong; `errors` names it.",
    428: "`If-Match` is missing.",
    429: "Too many requests of this credential; `Retry-After` says when to try again.",
    500: "An error of ours; nothing was changed.",
    503: "The database is away or busy; nothing was changed, try again.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: the problems that may end it, those of every route included."""
    return {
        status: {"description": _MEANINGS[status], "model": ProblemDetail, "content": {MEDIA_TYPE: {}}}
        for status in sorted({*EVERYWHERE, *statuses})
    }
