"""aiokafka as a member of a group. Usage: SERVER TOPIC GROUP STRATEGY MOST; see ../run for what it prints."""

import asyncio
import json
import select
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

server, topic, group, strategy, most = sys.argv[1:6]


def say(**line):
    print(json.dumps(line), flush=True)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        say(assigned=sorted(place.partition for place in assigned))


async def member():
    consumer = AIOKafkaConsumer(bootstrap_servers=server, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                session_timeout_ms=6000, heartbeat_interval_ms=500,
                                partition_assignment_strategy=[RangePartitionAssignor, RoundRobinPartitionAssignor])
    await consumer.start()
    consumer.subscribe([topic], listener=Listener())
    taken = 0
    while taken < int(most) and not select.select([sys.stdin], [], [], 0)[0]:
        batch = await consumer.getmany(timeout_ms=200, max_records=min(100, int(most) - taken))
        for place, records in batch.items():
            for record in records:
                say(p=place.partition, o=record.offset, v=record.value.decode())
                taken += 1
        if batch:
            await consumer.commit()
    await consumer.stop()


asyncio.run(member())
