"""What no client library sends: requests byte by byte, the right ones in an unusual order, and wrong ones."""

import random
import socket
import struct
import time

from leveret import check

TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = (_byte >> 1) ^ (0x82F63B78 if _byte & 1 else 0)
    TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def batch(values, attributes=0, producer=(-1, -1, -1), timestamp=1000, count=None, crc=None):
    """A record batch v2; what is wrong with it is asked for."""
    records = b""
    for delta, value in enumerate(values):
        body = b"\0" + zigzag(delta) + zigzag(delta) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
        records += zigzag(len(body)) + body
    last = len(values) - 1
    rest = struct.pack(">hiqqqhii", attributes, last, timestamp, timestamp + last, *producer,
                       len(values) if count is None else count) + records
    crc = crc32c(rest) if crc is None else crc
    return struct.pack(">qiibI", 0, 9 + len(rest), 0, 2, crc) + rest


def string(text):
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def offset_after(data, offset):
    """The offset after the last whole batch of a fetch's answer, by its base offset and last offset delta; `offset` if there is none."""
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        offset = base + struct.unpack_from(">i", data, at + 23)[0] + 1
        at += 12 + length
    return offset


class Wire:
    """One connection; requests are numbered."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.number = 0

    def send(self, key, version, body):
        self.number += 1
        frame = struct.pack(">hhi", key, version, self.number) + string("wire") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return self.number

    def receive(self, number):
        """The body of the next answer, which must be that one."""
        frame = self.exactly(struct.unpack(">i", self.exactly(4))[0])
        found = struct.unpack_from(">i", frame)[0]
        check(found == number, f"answer {found} came before {number}")
        return frame[4:]

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            check(more, "the broker closed the connection")
            data += more
        return data

    def ask(self, key, version, body):
        return self.receive(self.send(key, version, body))

    def send_produce(self, topic, partitions, acks=-1, transaction=None, version=3):
        parts = array([struct.pack(">ii", index, len(data)) + data for index, data in partitions])
        body = string(transaction) if version >= 3 else b""
        return self.send(0, version, body + struct.pack(">hi", acks, 10000) + array([string(topic) + parts]))

    def produced(self, number, topic, count):
        """(error, offset) of each partition."""
        body = self.receive(number)
        at = 4 + 2 + len(topic) + 4
        lines = [struct.unpack_from(">ihq", body, at + 22 * index) for index in range(count)]
        return [(error, offset) for _, error, offset in lines]

    def produce(self, topic, data, partition=0, **options):
        return self.produced(self.send_produce(topic, [(partition, data)], **options), topic, 1)[0]

    def send_fetch(self, topic, offset, partition=0, wait=0, least=0):
        part = array([struct.pack(">iqi", partition, offset, 1 << 20)])
        return self.send(1, 4, struct.pack(">iiiib", -1, wait, least, 1 << 20, 0) + array([string(topic) + part]))

    def fetched(self, number, topic):
        """(error, high watermark, batches) of one partition."""
        body = self.receive(number)
        at = 4 + 4 + 2 + len(topic) + 4
        _, error, high, _, aborted, length = struct.unpack_from(">ihqqii", body, at)
        check(aborted == -1 and len(body) == at + 30 + length, "the length of a fetch's answer")
        return error, high, body[at + 30:]

    def fetch(self, topic, offset, partition=0):
        return self.fetched(self.send_fetch(topic, offset, partition), topic)

    def offset(self, topic, timestamp):
        """(error, timestamp, offset) of a look-up."""
        part = array([struct.pack(">iq", 0, timestamp)])
        body = self.ask(2, 1, struct.pack(">i", -1) + array([string(topic) + part]))
        return struct.unpack_from(">hqq", body, 4 + 2 + len(topic) + 4 + 4)

    def topic_id(self, topic):
        """The id that Metadata of version 10 tells."""
        body = bytes([2]) + bytes(16) + bytes([len(topic) + 1]) + topic.encode() + bytes(5)
        answer = self.ask(3, 10, b"\0" + body)
        return answer[answer.index(topic.encode()) + len(topic):][:16]

    def fetch_by_id(self, topic_id):
        """The error of a fetch of version 13 for partition 0."""
        part = struct.pack(">iiqiqi", 0, -1, 0, -1, -1, 1 << 20) + b"\0"
        head = struct.pack(">iiiibii", -1, 0, 0, 1 << 20, 0, 0, -1)
        body = head + bytes([2]) + topic_id + bytes([2]) + part + b"\0" + bytes([1]) + bytes([1]) + b"\0"
        answer = self.ask(1, 13, b"\0" + body)
        return struct.unpack_from(">h", answer, 1 + 4 + 2 + 4 + 1 + 16 + 1 + 4)[0]

    def last_words(self):
        """What the broker still says before it ends the connection."""
        said = b""
        try:
            while more := self.socket.recv(4096):
                said += more
        except ConnectionResetError:
            pass
        return said

    def closed(self):
        """Whether the broker ends the connection without another word."""
        return self.last_words() == b""


def create(wire, topic, partitions, **config):
    """A topic that keeps what is older than a week: batches here are of 1970, and retention acts within seconds."""
    config = {"retention_ms": "-1", **config}
    settings = array([string(name.replace("_", ".")) + string(value) for name, value in config.items()])
    wire.ask(19, 2, array([string(topic) + struct.pack(">ih", partitions, 1) + array([]) + settings])
             + struct.pack(">ib", 10000, 0))


def order(address):
    """Answers come in the order of requests, whichever is ready first; acks=0 has none."""
    wire = Wire(address)
    body = wire.ask(18, 99, b"")
    error, count = struct.unpack_from(">hi", body)
    check(error == 35 and len(body) == 6 + 6 * count, "an unknown version of ApiVersions is answered in version 0")
    create(wire, "order", 4)
    waiting = wire.send_fetch("order", 0, wait=500, least=1)
    behind = wire.send(3, 1, array([string("order")]))
    first = wire.send_produce("order", [(index, batch([b"x"])) for index in range(3, 0, -1)])
    second = wire.send_produce("order", [(index, batch([b"y"])) for index in range(1, 4)])
    check(wire.fetched(waiting, "order") == (0, 0, b""), "a fetch waits for its time")
    wire.receive(behind)
    check(wire.produced(first, "order", 3) == [(0, 0)] * 3, "the first produce")
    check(wire.produced(second, "order", 3) == [(0, 1)] * 3, "the second produce")
    many = [wire.send_produce("order", [(number % 4, batch([b"%d" % number]))]) for number in range(400)]
    offsets = [wire.produced(number, "order", 1)[0] for number in many]
    check(all(error == 0 for error, _ in offsets), "400 produces in flight")
    for partition in range(4):
        own = [offset for _, offset in offsets[partition::4]]
        check(own == list(range(own[0], own[0] + 100)), "in the order in which they were sent")
    before = wire.offset("order", -1)[2]
    for _ in range(3):
        wire.send_produce("order", [(0, batch([b"quiet"]))], acks=0)
    # It is not waited for, so it is not to be read before it is durable.
    deadline = time.monotonic() + 5
    while wire.offset("order", -1)[2] < before + 3:
        check(time.monotonic() < deadline, "acks=0 is appended and not answered")
    reader, writer = Wire(address), Wire(address)
    tail = reader.send_fetch("order", before + 3, wait=20000, least=1)
    writer.produce("order", batch([b"late"]))
    check(b"late" in reader.fetched(tail, "order")[2], "a waiting fetch is woken")


def refusals(address):
    """Batches that must not be appended, each with its own error, and nothing is appended of them."""
    wire = Wire(address)
    create(wire, "wrong", 1)
    good = batch([b"a", b"b"])
    for error, data, options in [
        (2, batch([b"a"], crc=1), {}), (2, good[:-1], {}), (87, good + good, {}), (87, good + b"\0", {}), (87, b"", {}),
        (87, batch([b"a"], attributes=32), {}), (87, batch([b"a", b"b"], count=3), {}), (76, batch([b"a"], attributes=5), {}),
        (32, batch([b"a"], attributes=8), {}), (10, batch([b"x" * (2 << 20)], crc=1), {}), (48, good, {"transaction": "t"}),
        (48, batch([b"a"], attributes=16, producer=(1, 0, 0)), {}), (21, good, {"acks": 5}), (35, good, {"version": 2}),
        (76, batch([b"a"], attributes=4), {}), (3, good, {"partition": 1}), (3, good, {"partition": -1}),
    ]:
        found = wire.produce("wrong", data, **options)
        check(found == (error, -1), f"{found} instead of error {error} for {data[:80]} {options}")
    check(wire.produce("nowhere", good)[0] == 3, "an unknown topic is not made by producing")
    twice = wire.produced(wire.send_produce("wrong", [(0, batch([b"a"])), (0, batch([b"b"]))]), "wrong", 2)
    check(twice == [(42, -1), (42, -1)], f"a partition named twice: {twice}")
    check(wire.offset("wrong", -1) == (0, -1, 0), "what was refused was not appended")
    silent = Wire(address)
    silent.send_produce("wrong", [(0, batch([b"a"], crc=1))], acks=0)
    check(silent.closed(), "a failure with acks=0 ends the connection")


def idempotence(address):
    """Repetitions are recognized, gaps and old epochs refused."""
    wire = Wire(address)
    create(wire, "once", 1)
    error, producer, epoch = struct.unpack_from(">hqh", wire.ask(22, 0, string(None) + struct.pack(">i", 0)), 4)
    check((error, epoch) == (0, 0), "a producer id")
    other = struct.unpack_from(">hqh", wire.ask(22, 0, string(None) + struct.pack(">i", 0)), 4)[1]
    check(other != producer, "nobody else has the producer id")

    def send(sequence, count=2, epoch=0):
        return wire.produce("once", batch([b"v"] * count, producer=(producer, epoch, sequence)))

    check([send(0), send(2), send(4)] == [(0, 0), (0, 2), (0, 4)], "in sequence")
    check([send(2), send(0), send(4)] == [(0, 2), (0, 0), (0, 4)], "repetitions get their first offsets")
    check(send(8)[0] == 45, "a gap")
    check(send(0, epoch=1) == (0, 6) and send(6)[0] == 47, "a new epoch, then the old one")
    check(wire.offset("once", -1)[2] == 8, "each record is there once")
    error = struct.unpack_from(">h", wire.ask(22, 0, string("transaction") + struct.pack(">i", 0)), 4)[0]
    check(error != 0, "no transactions")


def reading(address):
    """Offsets, times and topic ids."""
    wire = Wire(address)
    create(wire, "read", 1)
    check(wire.offset("read", -3) == (0, -1, -1), "no record is the youngest")
    for values, timestamp in [([b"a", b"b", b"c"], 1000), ([b"d"], 5000), ([b"e", b"f"], 2000)]:
        check(wire.produce("read", batch(values, timestamp=timestamp))[0] == 0, "produced")
    error, high, data = wire.fetch("read", 1)
    check((error, high) == (0, 6) and data.startswith(struct.pack(">q", 0)), "a batch is given whole")
    check(wire.fetch("read", 6) == (0, 6, b""), "the end")
    for outside in [7, -1, 1 << 62]:
        check(wire.fetch("read", outside)[0] == 1, f"offset {outside} is out of range")
    found = [wire.offset("read", timestamp) for timestamp in [-1, -2, -4, -3, 0, 1001, 1500, 5001, -7]]
    check(found == [(0, -1, 6), (0, -1, 0), (0, -1, 0), (0, 5000, 3), (0, 1000, 0), (0, 1001, 1), (0, 5000, 3),
                    (0, -1, -1), (42, -1, -1)], f"offsets by time: {found}")
    create(wire, "stamped", 1, message_timestamp_type="LogAppendTime")
    body = wire.receive(wire.send_produce("stamped", [(0, batch([b"a", b"b"]))]))
    error, offset, stamp = struct.unpack_from(">hqq", body, 4 + 2 + len("stamped") + 4 + 4)
    check((error, offset) == (0, 0) and abs(stamp - time.time() * 1000) < 60000, f"log append time: {stamp}")
    check(wire.offset("stamped", 2000) == (0, stamp, 0), "records carry the time of the append")
    check(wire.produce("stamped", batch([b"x" * 3000], timestamp=5))[0] == 0, "a batch of 3 KB")
    create(wire, "small", 1, max_message_bytes="2048")
    check(wire.produce("small", batch([b"x" * 3000]))[0] == 10, "a batch beyond the topic's max.message.bytes")
    before = wire.topic_id("read")
    check(wire.fetch_by_id(before) == 0, "a fetch by id")
    wire.ask(20, 1, array([string("read")]) + struct.pack(">i", 10000))
    check(wire.fetch("read", 0)[0] == 3 and wire.fetch_by_id(before) == 100, "a deleted topic")
    create(wire, "read", 1)
    check(wire.topic_id("read") != before, "another topic of that name has another id")
    check(wire.fetch_by_id(before) == 100, "the old id stays unknown")


def hostile(address, seed=1):
    """Bytes that are no requests cost a connection, never the broker."""
    shuffle = random.Random(seed)
    long = struct.pack(">ihhi", 2 << 20, 3, 1, 1)
    cases = [struct.pack(">i", -1), struct.pack(">i", 3), struct.pack(">i", 0x7FFFFFFF), long,
             struct.pack(">ihhi", 8, 3, 1, 1), struct.pack(">ihhih", 10, 99, 0, 1, -1),
             struct.pack(">ihhih", 10, 3, 77, 1, -1),
             struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0x7FFFFFFF), struct.pack(">ihhihi", 14, 3, 1, 1, -1, -2)]
    for case in cases:
        wire = Wire(address)
        wire.socket.sendall(case)
        check(wire.closed(), f"{case} ends its connection")
    wire = Wire(address)
    wire.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    words = wire.last_words()
    check(words.startswith(b"HTTP/1.1 400 ") and b"Kafka" in words, f"HTTP is told where it is: {words}")
    valid = [(0, 3, string(None) + struct.pack(">hi", -1, 100) + array([string("t") + array([b"\0" * 8])])),
             (1, 4, struct.pack(">iiiib", -1, 0, 0, 100, 0) + array([string("t") + array([bytes(16)])])),
             (3, 9, b"\0" + bytes([2, 2, 65, 0, 1, 0, 0, 0])), (19, 5, b"\0" + bytes([2, 2, 65]) + bytes(20)),
             (32, 1, array([b"\2" + string("t") + array([])]) + b"\0"), (37, 1, array([string("t")]) + bytes(20))]
    for _ in range(300):
        key, version, body = shuffle.choice(valid)
        body = bytearray(body)
        for _ in range(shuffle.randrange(1, 4)):
            body[shuffle.randrange(len(body))] = shuffle.randrange(256)
        wire = Wire(address)
        wire.send(key, version, bytes(body[:shuffle.randrange(1, len(body) + 1)]))
        wire.socket.close()
    Wire(address).ask(18, 0, b"")


def stalled(broker):
    """Whoever asks for much and reads nothing costs the broker a bounded amount, and hears all in the end."""
    wire = Wire(broker.kafka)
    create(wire, "much", 1)
    for number in range(24):
        check(wire.produce("much", batch([b"%d" % number * 300_000])) == (0, number), "produced")
    before = broker.resident_bytes()
    lazy = Wire(broker.kafka)
    asked = [lazy.send_fetch("much", 0) for _ in range(200)]
    time.sleep(1)
    grown = broker.resident_bytes() - before
    check(grown < 48 << 20, f"a reader that does not read costs {grown >> 20} MiB")
    check(wire.produce("much", batch([b"x"])) == (0, 24), "others are served")
    for number in asked:
        error, _, data = lazy.fetched(number, "much")
        check(error == 0 and len(data) > 300_000, "every fetch is answered in the end")


# A value of zeros that is a thousand times as long as what it is compressed to, and is read by all.
ZEROS = 2 << 20
# The topic of that record.
ZEROS_TOPIC = "zeros"


def zstd_zeros(length):
    """A batch of one record of so many zeros in zstd: one block of its beginning, then blocks that repeat a byte."""
    begin = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(length)
    begin = zigzag(len(begin) + length + 1) + begin
    # Behind the value come no headers: one zero more.
    left, blocks = length + 1, [struct.pack("<I", len(begin) << 3)[:3] + begin]
    while left:
        run = min(left, 128 << 10)
        left -= run
        blocks.append(struct.pack("<I", run << 3 | 1 << 1 | (left == 0))[:3] + b"\0")
    # No checksum, a window of 8 MiB, and the length of all, without which some clients take 1 MiB at most.
    frame = struct.pack("<IBBI", 0xFD2FB528, 0x80, 0x68, len(begin) + length + 1) + b"".join(blocks)
    rest = struct.pack(">hiqqqhii", 4, 0, 1000, 1000, -1, -1, -1, 1) + frame
    return struct.pack(">qiibI", 0, 9 + len(rest), 0, 2, crc32c(rest)) + rest


def zeros(broker):
    """One honest record of 2 MiB that is some hundred bytes in zstd is acknowledged, and read."""
    wire = Wire(broker.kafka)
    create(wire, ZEROS_TOPIC, 2)
    data = zstd_zeros(ZEROS)
    check(len(data) < 300, f"{len(data)} bytes")
    check(wire.produce(ZEROS_TOPIC, data, version=7) == (0, 0), "zeros in zstd are acknowledged")
    read = broker.run("consume", ZEROS_TOPIC, "--from", "beginning", "--until-end")
    check(read.rstrip(b"\n") == bytes(ZEROS), f"{len(read)} bytes read instead of {ZEROS} zeros")


def missing(broker):
    """A request that is not there is told in the log once for each kind of client, however often it comes."""
    def ask(kind):
        wire = Wire(broker.kafka)
        name = bytes([len(kind) + 1]) + kind.encode()
        wire.ask(18, 3, b"\0" + name + bytes([2]) + b"1" + b"\0")
        # ConsumerGroupHeartbeat.
        wire.send(68, 0, b"\0" + bytes([2]) + b"g" + b"\0\0")
        check(wire.closed(), "an API that is not there ends the connection")

    for kind in ["wire-one", "wire-two", "wire-one", "wire-one"]:
        ask(kind)
    for kind in ["wire-one", "wire-two"]:
        told = [line for line in broker.log_tail(100_000).splitlines() if kind in line and "ConsumerGroupHeartbeat" in line]
        check(len(told) == 1 and "KIP-848" in told[0], f"{kind} was told {len(told)} times")


def cluster(broker):
    """The cluster's id, as Metadata of version 4 tells it: 22 characters."""
    answer = Wire(broker.kafka).ask(3, 4, array([]) + b"\0")
    at = answer.index(struct.pack(">h", 22)) + 2
    return answer[at:at + 22].decode()


def everything(broker):
    for part in [order, refusals, idempotence, reading, hostile]:
        part(broker.kafka)
    for part in [stalled, zeros, missing]:
        part(broker)
    check(broker.alive(), f"the broker has ended: {broker.log_tail()}")
