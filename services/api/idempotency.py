"""`Idempotency-Key`: a write that is sent again gets the first answer, and is done once.

The key is stored with the answer in the transaction of the write itself, so either both are there or neither. It is
the tenant's, kept for 24 hours, and erased with the SMB that it was about.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, NamedTuple
from uuid import UUID

import starlette.requests
from fastapi import Header
from sqlalchemy import text
from starlette.responses import Response

from services.api.problems import Problem
from shared.runtime.database import TenantDatabase, Transaction

REPLAYED = "Idempotency-Replayed"
MEDIA_TYPE = "application/json"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="Send a write again with the same key, and it is done once: the first answer comes back, for 24 h.",
    ),
]

FIND = text(
    "SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE tenant_id = :tenant_id AND key = :key"
)
# Whoever comes second waits here until the first has committed, and then finds the key taken.
KEEP = text(
    """
    INSERT INTO idempotency_keys (tenant_id, key, fingerprint, status, headers, body, smb_id, created_at)
    VALUES (:tenant_id, :key, :fingerprint, :status, CAST(:headers AS json), :body, :smb_id, :now)
    ON CONFLICT DO NOTHING
    """,
)


class Answer(NamedTuple):
    """What a write answers. `smb_id` is the SMB that the answer is about, with which it is erased."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    smb_id: UUID | None = None

    def response(self, *, replayed: bool = False) -> Response:
        """The answer to the client."""
        response = Response(self.body, self.status, dict(self.headers), MEDIA_TYPE if self.body else None)
        if replayed:
            response.headers[REPLAYED] = "true"
        return response


class Request(NamedTuple):
    """A request that may be sent again: its key, and what makes it the same request."""

    key: str
    fingerprint: bytes


class KeyTaken(Exception):
    """Another request with this key has committed meanwhile; this one's transaction must be rolled back."""


async def identified(key: str, request: starlette.requests.Request) -> Request:
    """Two requests are the same when method, address, condition and body are."""
    parts = (request.method, request.url.path, request.url.query, request.headers.get("if-match", ""))
    return Request(key, sha256("\n".join(parts).encode() + b"\n" + await request.body()).digest())


async def find(database: TenantDatabase, request: Request) -> Answer | None:
    """The answer that this key was given before, if any. Raises Problem 422 when it was to another request."""
    async with database.transaction() as transaction:
        rows = await transaction.execute(FIND, {"tenant_id": database.tenant_id, "key": request.key})
        found = rows.one_or_none()
    if found is None:
        return None
    if bytes(found.fingerprint) != request.fingerprint:
        detail = "this key was used for another request"
        raise Problem(422, "idempotency-key-reused", detail, errors=[("Idempotency-Key", detail)])
    headers = found.headers if isinstance(found.headers, list) else json.loads(found.headers)
    return Answer(found.status, bytes(found.body), [(name, value) for name, value in headers])


async def keep(transaction: Transaction, tenant_id: UUID, request: Request, answer: Answer, now: datetime) -> None:
    """Store the answer under its key, as the last act of the write. Raises KeyTaken."""
    kept = await transaction.execute(
        KEEP,
        {
            "tenant_id": tenant_id,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "status": answer.status,
            "headers": json.dumps([list(header) for header in answer.headers]),
            "body": answer.body,
            "smb_id": answer.smb_id,
            "now": now,
        },
    )
    if kept.rowcount == 0:
        raise KeyTaken
