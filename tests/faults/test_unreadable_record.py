"""A record that the Kafka client itself can't read stops the line; nothing around it is skipped."""

import asyncio
import os
import sys
from dataclasses import replace

from aiokafka import TopicPartition

from shared.runtime.positions import Positions
from shared.schemas.identity import SmbKey
from tests.installation import Installation, event, eventually

# aiokafka's extension refuses such a name when writing; its Python part takes whatever `encode` gives.
WRITE_A_HEADER_NAME_THAT_IS_NOT_UTF_8 = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_): return b"\\xff\\xfe"

async def main():
    producer = AIOKafkaProducer(bootstrap_servers=sys.argv[1])
    await producer.start()
    await producer.send_and_wait(sys.argv[2], b"{}", partition=0, headers=[(Name("name"), b"value")])
    await producer.stop()

asyncio.run(main())
"""


async def test_a_header_name_that_is_not_utf_8_stops_the_line_and_skips_nothing(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await eventually(lambda: worker.ops("/readyz")[0] == 200, "ready")
    await _publish(installation, smb, 20)
    await installation.idle()
    topic = installation.topics.full_name("email.opened")
    writing = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITE_A_HEADER_NAME_THAT_IS_NOT_UTF_8,
        installation.settings.kafka_bootstrap_servers,
        topic,
        env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"},
    )
    assert await writing.wait() == 0
    await _publish(installation, smb, 40)
    await eventually(lambda: 'why="unreadable_record"} 1.0' in worker.ops("/metrics")[1], "the line stops")
    status, problems = worker.ops("/readyz")
    assert (status, "can't read a record" in problems) == (503, True)
    assert worker.terminate() == 0
    stored = await installation.fetch(
        "SELECT partition_number, max(partition_offset) + 1 AS next, count(*) AS events"
        " FROM engagement_events GROUP BY partition_number"
    )
    async with Positions(installation.settings) as positions:
        committed = await positions.committed(installation.topics.group("engagement"))
    assert all(row["next"] == row["events"] for row in stored)
    for row in stored:
        assert committed[TopicPartition(topic, row["partition_number"])] == row["next"]


async def _publish(installation: Installation, smb: SmbKey, count: int) -> None:
    messages = [event("EmailOpened", smb, message_id="m") for _ in range(count)]
    await installation.publish([replace(one, partition=number % 4) for number, one in enumerate(messages)])
