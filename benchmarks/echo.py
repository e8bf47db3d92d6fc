"""`python -m benchmarks.echo`: a consumer and a producer that send back whatever comes, and nothing else."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.processes import answer, arguments
from benchmarks.traffic import PARTITIONS


async def echo(bootstrap_servers: str, source: str, to: str) -> None:
    """Send each record of one topic to another, for ever."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    # As safe as the relay's: what is compared is the way, not the promises.
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=True, acks="all")
    await consumer.start()
    await producer.start()
    partitions = [TopicPartition(source, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    answer("ready")
    async for record in consumer:
        await producer.send(to, record.value, key=record.key, partition=record.partition, headers=list(record.headers))


if __name__ == "__main__":
    asyncio.run(echo(**arguments()))
