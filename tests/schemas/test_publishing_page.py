"""What docs/publishing.md shows is accepted as it stands."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker

from shared.schemas.catalog import ENGAGEMENT_EVENTS
from shared.schemas.envelope import Record, decode
from shared.schemas.topics import ENGAGEMENT_TOPICS
from tests.schemas.records import NOW, SMB_ID, STRUCTURED_HEADER, TENANT_ID, GivenRecord

PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
EMAIL_OPENED = frozenset({"EmailOpened"})


def block(language: str) -> str:
    """Return the page's only block of code in a language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


async def test_the_five_lines_publish_an_event_that_is_accepted() -> None:
    broker = KafkaBroker()
    records: list[Record] = []

    @broker.subscriber("email.opened")
    async def keep(message: KafkaMessage) -> None:
        assert not isinstance(message.raw_message, tuple)
        records.append(message.raw_message)

    written: dict[str, Any] = {}
    exec(block("python"), written)  # noqa: S102 -- our own page
    async with TestKafkaBroker(broker):
        opened_at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
        await written["email_opened"](broker, TENANT_ID, SMB_ID, "m-1", "e-1", opened_at)

    (record,) = records
    message = decode(record, EMAIL_OPENED, NOW)
    assert (message.id, message.time, str(message.smb and message.smb.smb_id)) == ("e-1", opened_at, SMB_ID)


def test_the_document_is_accepted() -> None:
    assert decode(GivenRecord(block("json").encode(), (STRUCTURED_HEADER,)), EMAIL_OPENED, NOW).type == "EmailOpened"


def test_every_event_stands_in_the_table_with_its_topic_and_fields() -> None:
    for name, model in ENGAGEMENT_EVENTS.items():
        (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{ENGAGEMENT_TOPICS[name]}`" in row
        assert all(field in row for field in model.model_fields if field != "smb_id")
