"""How every write is done: heads locked, one transaction, the answer kept under the request's key, events told."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from services.api import idempotency
from services.api.idempotency import Answer, IdempotencyKey, KeyTaken
from services.api.parts import Ours, Parts, Tenant
from shared.runtime.batch import transact
from shared.runtime.database import TenantDatabase, Transaction
from shared.runtime.errors import sqlstate
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey

Act = Callable[[Transaction, datetime], Awaitable[tuple[Outcome, Answer]]]
# Two writes met (deadlock, serialization): the loser was rolled back whole and may simply try again.
_MET = frozenset({"40001", "40P01"})
ATTEMPTS = 3


class Writer:
    """Does one request's write. Asked again with the same key, it gives the first answer and does nothing."""

    def __init__(self, request: Request, parts: Parts, database: TenantDatabase, key: str | None) -> None:
        self._request = request
        self._parts = parts
        self._database = database
        self._key = key

    async def write(self, keys: Sequence[SmbKey], act: Act) -> Response:
        """Lock the heads of `keys`, run `act` once and answer what it answers. Raises what `act` raises."""
        if self._key is None:
            return (await self._transact(keys, act, None)).response()
        request = await idempotency.identified(self._key, self._request)
        known = await idempotency.find(self._database, request)
        if known is not None:
            return known.response(replayed=True)
        try:
            return (await self._transact(keys, act, request)).response()
        except KeyTaken:
            known = await idempotency.find(self._database, request)
            if known is None:  # it was kept and removed within a moment, by an erasure
                raise
            return known.response(replayed=True)

    async def _transact(self, keys: Sequence[SmbKey], act: Act, request: idempotency.Request | None) -> Answer:
        answer = Answer(500)

        async def act_and_keep(transaction: Transaction, now: datetime) -> Outcome:
            nonlocal answer
            outcome, answer = await act(transaction, now)
            if request is not None:
                await idempotency.keep(transaction, self._database.tenant_id, request, answer, now)
            return outcome

        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: sqlstate(error) in _MET),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random(0.01, 0.1),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                await transact(self._database, self._parts.topics, keys, act_and_keep)
        return answer


def _writer(request: Request, parts: Ours, database: Tenant, key: IdempotencyKey = None) -> Writer:
    return Writer(request, parts, database, key)


Writing = Annotated[Writer, Depends(_writer)]
