"""aiokafka: produces idempotently, reads as assigned consumer. See run for the commands."""

import asyncio
import sys

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

import common


def producer(server, codec):
    return AIOKafkaProducer(bootstrap_servers=server, compression_type=None if codec == "none" else codec,
                            enable_idempotence=True, linger_ms=20, max_request_size=900_000)


async def produce(server, topic, codecs):
    records = list(common.read_records())
    for codec in codecs.split(","):
        async with producer(server, codec) as client:
            sent = [await client.send(topic, value=value, key=key, headers=headers, partition=partition,
                                      timestamp_ms=timestamp)
                    for partition, timestamp, key, value, headers in records]
            await asyncio.gather(*sent)


async def produce_stream(server, topic, partition, count):
    async with producer(server, "gzip") as client:
        sent = None
        for timestamp, key, value in common.stream(int(partition), int(count)):
            sent = await client.send(topic, value=value, key=key, partition=int(partition), timestamp_ms=timestamp)
        await client.flush()
        await sent


async def consumer(server, topics):
    client = AIOKafkaConsumer(bootstrap_servers=server, group_id=None, auto_offset_reset="earliest",
                              enable_auto_commit=False, fetch_max_wait_ms=100)
    await client.start()
    client.assign([TopicPartition(topic, number)
                   for topic, (count, _) in topics.items() for number in range(count)])
    await client.seek_to_beginning()
    return client


async def consume(server, *arguments):
    topics = common.wanted(arguments)
    missing = sum(count for _, count in topics.values())
    client = await consumer(server, topics)
    while missing > 0:
        for records in (await client.getmany(timeout_ms=1000)).values():
            for record in records:
                common.write_record(record.topic, record.partition, record.offset, record.timestamp, record.key,
                                    record.value, record.headers)
                missing -= 1
    await client.stop()


async def digest(server, topic, partitions, count):
    digests = common.Digests(int(partitions), int(count))
    client = await consumer(server, {topic: (int(partitions), int(count))})
    while digests.missing > 0:
        for records in (await client.getmany(timeout_ms=1000, max_records=5000)).values():
            for record in records:
                digests.add(record.partition, record.timestamp, record.key, record.value)
    digests.write()
    await client.stop()


if __name__ == "__main__":
    print("aiokafka", aiokafka.__version__, file=sys.stderr)
    asyncio.run(globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:]))
