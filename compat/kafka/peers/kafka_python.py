"""kafka-python, any version: produces and reads as assigned consumer. See run for the commands."""

import sys
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import common

CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}
IDEMPOTENT = {"enable_idempotence": True} if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG else {}


def producer(server, codec):
    return KafkaProducer(bootstrap_servers=server, compression_type=CODECS[codec], acks="all", linger_ms=20,
                         max_request_size=900_000, **IDEMPOTENT)


def produce(server, topic, codecs):
    records = list(common.read_records())
    for codec in codecs.split(","):
        client = producer(server, codec)
        sent = [client.send(topic, value=value, key=key, headers=headers, partition=partition, timestamp_ms=timestamp)
                for partition, timestamp, key, value, headers in records]
        client.flush(60)
        for future in sent:
            future.get(30)
        client.close()


def produce_stream(server, topic, partition, count):
    client = producer(server, "lz4")
    last = None
    for timestamp, key, value in common.stream(int(partition), int(count)):
        last = client.send(topic, value=value, key=key, partition=int(partition), timestamp_ms=timestamp)
    client.flush(120)
    last.get(30)
    client.close()


def consumer(server, topics):
    client = KafkaConsumer(bootstrap_servers=server, group_id=None, auto_offset_reset="earliest",
                           enable_auto_commit=False, fetch_max_wait_ms=100)
    parts = [TopicPartition(topic, number) for topic, (count, _) in topics.items() for number in range(count)]
    client.assign(parts)
    client.seek_to_beginning()
    return client


def consume(server, *arguments):
    topics = common.wanted(arguments)
    missing = sum(count for _, count in topics.values())
    client = consumer(server, topics)
    while missing > 0:
        for records in client.poll(timeout_ms=1000).values():
            for record in records:
                common.write_record(record.topic, record.partition, record.offset, record.timestamp, record.key,
                                    record.value, record.headers)
                missing -= 1
    ends = client.end_offsets(client.assignment())
    starts = client.beginning_offsets(client.assignment())
    assert all(start == 0 for start in starts.values()), starts
    assert sum(ends.values()) == sum(count for _, count in topics.values()), ends
    part = TopicPartition(next(iter(topics)), 0)
    found = client.offsets_for_times({part: common.BASE + 1})[part]
    assert found is None or found.timestamp > common.BASE, found
    client.close()


def digest(server, topic, partitions, count):
    digests = common.Digests(int(partitions), int(count))
    client = consumer(server, {topic: (int(partitions), int(count))})
    while digests.missing > 0:
        for records in client.poll(timeout_ms=1000, max_records=5000).values():
            for record in records:
                digests.add(record.partition, record.timestamp, record.key, record.value)
    digests.write()
    client.close()


def rests(server, topic, pauses):
    """A producer and a consumer that do nothing for some seconds, between one record and the next."""
    client, reader = producer(server, "none"), consumer(server, {topic: (1, 0)})
    for number, pause in enumerate(map(float, pauses.split(","))):
        client.send(topic, value=b"%d" % number, partition=0).get(20)
        found = []
        while not found:
            found = [record.value for records in reader.poll(timeout_ms=1000).values() for record in records]
        assert found == [b"%d" % number], found
        time.sleep(pause)
    client.close()
    reader.close()


if __name__ == "__main__":
    print("kafka-python", kafka.__version__, "idempotent" if IDEMPOTENT else "", file=sys.stderr)
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
