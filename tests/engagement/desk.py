"""Events of SMBs of one tenant, and what its people are shown of them."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.engagement import store
from services.engagement.store import EventRow
from shared.runtime.database import Database, Transaction
from shared.schemas.identity import SmbKey

NOW = datetime(2026, 3, 8, 13, tzinfo=UTC)
KEYS = itertools.count(1)


@dataclass
class EngagementDesk:
    """A tenant with one SMB that has nothing but events; `api` reads as the API does."""

    worker: Database
    api: Database
    smb: SmbKey = field(default_factory=lambda: SmbKey(uuid4(), uuid4()))

    async def happened(self, *events: EventRow) -> None:
        """Store events as the worker does."""
        async with self.worker.transaction() as transaction:
            await store.insert_events(transaction, sorted(events), NOW)

    @asynccontextmanager
    async def reading(self, tenant_id: UUID | None = None) -> AsyncIterator[Transaction]:
        """A transaction of a request of the tenant, or of another one."""
        async with self.api.of(tenant_id or self.smb.tenant_id).transaction() as transaction:
            yield transaction

    def event(self, kind: str, at: datetime, **columns: Any) -> EventRow:  # noqa: ANN401  any column
        """An event of a kind, with what every one of its kind has."""
        key = UUID(int=next(KEYS) * 7919 % 2**64)
        row = {
            "source": "/modules/test",
            "event_id": f"e-{key.int}",
            "reference": "r-1",
            "campaign_reference": None,
            "service": "Web" if kind.startswith("approval") else None,
            "url": "https://example.test/" if kind == "email_clicked" else None,
            "phone": None,
            "seconds": None,
            "partition_number": 0,
            "partition_offset": 0,
        }
        return EventRow(*self.smb, key, kind, at, **(row | columns))
