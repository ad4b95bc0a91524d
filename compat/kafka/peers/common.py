"""What every client program of this check shares: records as JSON lines, the long stream, its hash.

A record is {"p": partition, "ts": milliseconds, "k": base64 or null, "v": base64 or null, "h": [[name, base64 or null]]};
a consumed one has "o", its offset, as well.
"""

import base64
import hashlib
import json
import sys

BASE = 1_700_000_000_000


def encode(data):
    return None if data is None else base64.b64encode(bytes(data)).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def read_records():
    """The records of standard input, decoded: (partition, timestamp, key, value, headers)."""
    for line in sys.stdin:
        record = json.loads(line)
        headers = [(name, decode(value)) for name, value in record["h"]]
        yield record["p"], record["ts"], decode(record["k"]), decode(record["v"]), headers


def write_record(topic, partition, offset, timestamp, key, value, headers):
    headers = [[name, encode(data)] for name, data in headers or []]
    record = {"t": topic, "p": partition, "o": offset, "ts": timestamp, "k": encode(key), "v": encode(value),
              "h": headers}
    sys.stdout.write(json.dumps(record) + "\n")


def wanted(arguments):
    """TOPIC:PARTITIONS:COUNT words as a dictionary."""
    words = (argument.rsplit(":", 2) for argument in arguments)
    return {topic: (int(partitions), int(count)) for topic, partitions, count in words}


def stream(partition, count, altered=None):
    """Records of one partition of the long stream: (timestamp, key, value). One of them may be altered."""
    for number in range(count):
        value = b"record %d of partition %d, " % (number, partition) + b"x" * (number % 60)
        if number == altered:
            value = value[:-1] + b"!"
        yield BASE + number, b"%d" % number, value


class Digest:
    """The hash of a stream of records in order."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.count = 0

    def add(self, timestamp, key, value):
        self.hash.update(b"%d %d %d " % (timestamp, len(key), len(value)) + key + value)
        self.count += 1

    def text(self):
        return f"{self.count} {self.hash.hexdigest()}"


class Digests:
    """One digest for each partition; prints them at the end."""

    def __init__(self, partitions, count):
        self.digests = [Digest() for _ in range(partitions)]
        self.missing = count

    def add(self, partition, timestamp, key, value):
        self.digests[partition].add(timestamp, key, value)
        self.missing -= 1

    def write(self):
        for partition, digest in enumerate(self.digests):
            print(partition, digest.text())
