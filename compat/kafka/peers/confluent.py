"""confluent-kafka (librdkafka): produces idempotently, reads as assigned consumer, administers. See run."""

import sys
import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import common


def producer(server, codec):
    return Producer({"bootstrap.servers": server, "compression.type": codec, "enable.idempotence": True,
                     "linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "message.max.bytes": 900_000})


def noted(failures):
    return lambda error, _: failures.append(error) if error else None


def produce(server, topic, codecs):
    records = list(common.read_records())
    for codec in codecs.split(","):
        client, failures = producer(server, codec), []
        for partition, timestamp, key, value, headers in records:
            client.produce(topic, value, key, partition, on_delivery=noted(failures), timestamp=timestamp,
                           headers=headers)
            client.poll(0)
        left = client.flush(60)
        assert left == 0 and not failures, (left, failures[:3])


def produce_stream(server, topic, partition, count, altered="-1"):
    client, failures = producer(server, "zstd"), []
    for timestamp, key, value in common.stream(int(partition), int(count), int(altered)):
        while True:
            try:
                client.produce(topic, value, key, int(partition), on_delivery=noted(failures), timestamp=timestamp)
                break
            except BufferError:
                client.poll(0.1)
        client.poll(0)
    left = client.flush(120)
    assert left == 0 and not failures, (left, failures[:3])


def consumer(server, topics):
    client = Consumer({"bootstrap.servers": server, "group.id": "none", "enable.auto.commit": False,
                       "auto.offset.reset": "error", "fetch.wait.max.ms": 100})
    client.assign([TopicPartition(topic, number, OFFSET_BEGINNING)
                   for topic, (count, _) in topics.items() for number in range(count)])
    return client


def messages(client, missing):
    while missing > 0:
        for message in client.consume(10_000, 1.0):
            if message.error():
                raise KafkaException(message.error())
            yield message
            missing -= 1


def consume(server, *arguments):
    topics = common.wanted(arguments)
    client = consumer(server, topics)
    for message in messages(client, sum(count for _, count in topics.values())):
        common.write_record(message.topic(), message.partition(), message.offset(), message.timestamp()[1],
                            message.key(), message.value(), message.headers())
    for topic, (count, _) in topics.items():
        for number in range(count):
            low, _ = client.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            assert low == 0, (topic, number, low)
    client.close()


def digest(server, topic, partitions, count):
    digests = common.Digests(int(partitions), int(count))
    client = consumer(server, {topic: (int(partitions), int(count))})
    for message in messages(client, int(count)):
        digests.add(message.partition(), message.timestamp()[1], message.key(), message.value())
    digests.write()
    client.close()


def rests(server, topic, pauses):
    """A producer and a consumer that do nothing for some seconds, between one record and the next."""
    client, reader, failures = producer(server, "none"), consumer(server, {topic: (1, 0)}), []
    for number, pause in enumerate(map(float, pauses.split(","))):
        client.produce(topic, b"%d" % number, partition=0, on_delivery=noted(failures))
        left = client.flush(20)
        assert left == 0 and not failures, (left, failures)
        (message,) = messages(reader, 1)
        assert message.value() == b"%d" % number, message.value()
        reader.pause([TopicPartition(topic, 0)])
        time.sleep(pause)
        reader.resume([TopicPartition(topic, 0)])
    reader.close()


def outcome(futures):
    """What came of an administrative request: None, or the error's name."""
    (future,) = futures.values()
    try:
        future.result(20)
        return None
    except KafkaException as error:
        return error.args[0].name()


def admin(server):
    """Topics and their settings, as an administrator changes them."""
    client = AdminClient({"bootstrap.servers": server})
    topic = NewTopic("administered", 3, 1, config={"retention.ms": "3600000", "cleanup.policy": "delete"})
    assert outcome(client.create_topics([topic], validate_only=True)) is None
    assert "administered" not in client.list_topics(timeout=10).topics, "validate_only creates nothing"
    assert outcome(client.create_topics([topic])) is None
    assert outcome(client.create_topics([topic])) == "TOPIC_ALREADY_EXISTS"
    assert outcome(client.create_topics([NewTopic("a b", 1, 1)])) == "TOPIC_EXCEPTION"
    assert outcome(client.create_topics([NewTopic("three", 1, 3)])) == "INVALID_REPLICATION_FACTOR"
    assert outcome(client.create_topics([NewTopic("zero", 0, 1)])) == "INVALID_PARTITIONS"
    assert outcome(client.create_topics([NewTopic("odd", 1, 1, config={"x.y": "1"})])) == "INVALID_CONFIG"
    assert outcome(client.create_topics([NewTopic("by-hand", 2, replica_assignment=[[1], [1]])])) is None
    assert outcome(client.create_topics([NewTopic("far", 1, replica_assignment=[[7]])])) == "INVALID_REPLICA_ASSIGNMENT"
    assert outcome(client.create_partitions([NewPartitions("administered", 5)])) is None
    assert outcome(client.create_partitions([NewPartitions("administered", 5)])) == "INVALID_PARTITIONS"
    assert outcome(client.create_partitions([NewPartitions("nowhere", 5)])) == "UNKNOWN_TOPIC_OR_PART"
    assert len(client.list_topics("administered", timeout=10).topics["administered"].partitions) == 5
    (described,) = client.describe_configs([ConfigResource("topic", "administered")]).values()
    settings = described.result(20)
    assert settings["retention.ms"].value == "3600000" and not settings["retention.ms"].is_default, settings
    assert settings["segment.bytes"].value == str(16 << 20), settings["segment.bytes"]
    assert settings["message.timestamp.type"].is_default, settings["message.timestamp.type"]
    (described,) = client.describe_configs([ConfigResource("broker", "1")]).values()
    assert "num.partitions" in described.result(20)
    (described,) = client.describe_configs([ConfigResource("topic", "nowhere")]).values()
    assert described.exception(20) is not None
    for name in ["administered", "by-hand"]:
        assert outcome(client.delete_topics([name])) is None
        assert outcome(client.delete_topics([name])) == "UNKNOWN_TOPIC_OR_PART"
    assert "administered" not in client.list_topics(timeout=10).topics


if __name__ == "__main__":
    print("confluent-kafka", confluent_kafka.version()[0], "librdkafka", confluent_kafka.libversion()[0],
          file=sys.stderr)
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
