"""confluent-kafka (librdkafka) as a member of a group. Usage: SERVER TOPIC GROUP STRATEGY MOST; see ../run for what it prints."""

import json
import select
import sys

from confluent_kafka import Consumer

server, topic, group, strategy, most = sys.argv[1:6]


def say(**line):
    print(json.dumps(line), flush=True)


consumer = Consumer({"bootstrap.servers": server, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "partition.assignment.strategy": strategy})
consumer.subscribe([topic])
taken, held = 0, None
while taken < int(most) and not select.select([sys.stdin], [], [], 0)[0]:
    batch = consumer.consume(min(100, int(most) - taken), 0.2)
    now = sorted(place.partition for place in consumer.assignment())
    if now != held:
        held = now
        say(assigned=held)
    for record in batch:
        if not record.error():
            say(p=record.partition(), o=record.offset(), v=record.value().decode())
            taken += 1
    if batch:
        consumer.commit(asynchronous=False)
consumer.close()
