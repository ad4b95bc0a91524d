"""What the attacks have in common: requests as bytes, a good producer or reader that notes how long each of its requests takes, and limits."""

import os
import signal
import socket
import struct
import sys
import threading
import time
import urllib.request

for folder in ("harness", "kafka"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", folder))
from leveret import ROOT, SMALL, Broker, Failed, LongTurn, check
from wire import batch, string

# Who measures must not wait for other threads of this process, which only read.
sys.setswitchinterval(0.0005)

SHORT = "--short" in sys.argv
SECONDS = 3 if SHORT else 10
WIDER = 10 if "--busy" in sys.argv else 1
# Seconds beside twice the quiet percentile: what a shared machine may add.
SLACK = 0.03 * WIDER
# 99th percentile of a producer of long requests beside halves of such, seconds.
LONG_MOST = 1.5 if WIDER > 1 else 0.5
# Bytes of records whose requests are too long to be received before they are there, and wait for that in the kernel.
AWAITED = 70_000, 120_000, 400_000
# Of one that has sent many such, and the longest of one that comes anew, beside peers that proved themselves a little, seconds.
PROVEN_MOST, NEW_MOST = (2, 10) if WIDER > 1 else (0.2, 4)
# How much longer slow producers may take for a request.
SLOWER = 4 if WIDER > 1 else 2
# 99th percentile of who comes anew to read 1 MiB, seconds; and what others read to prove themselves, bytes.
READ_MOST, PROOF = 1.5 if WIDER == 1 else 10, 5_500_000
# The most CPU that one turn of a core may use, seconds.
TURN = 0.005 * WIDER


def request(api, version, body):
    head = struct.pack(">hhi", api, version, 1) + string("attack")
    return struct.pack(">i", len(head + body)) + head + body


def produce(topic, size):
    """Produce version 3 of one record in partition 0, acks=all."""
    records = batch([b"v" * size], timestamp=int(time.time() * 1000))
    body = struct.pack(">hhii", -1, -1, 30_000, 1) + string(topic) + struct.pack(">iii", 1, 0, len(records)) + records
    return request(0, 3, body)


def fetch(topic, indexes, wait_ms=300_000, offset=0, most=1 << 20):
    parts = b"".join(struct.pack(">iqi", index, offset, most) for index in indexes)
    body = struct.pack(">iiiibi", -1, wait_ms, 1, most, 0, 1) + string(topic) + struct.pack(">i", len(indexes)) + parts
    return request(1, 4, body)


API_VERSIONS = request(18, 0, b"")
METADATA = request(3, 1, struct.pack(">i", -1))


def native(kind):
    """The frame of this kind in wire/tests/native/golden.txt."""
    with open(os.path.join(ROOT, "wire", "tests", "native", "golden.txt")) as lines:
        return bytes.fromhex(dict(line.split() for line in lines)[kind])


def describe_all():
    """DescribeTopics with no names: a table without fields, as in Ping."""
    frame = bytearray(native("Ping"))
    frame[6:8] = struct.pack("<H", 0x13)
    return bytes(frame)


# Bytes of a record whose request is not awaited as a whole, but received in pieces.
LONG = 600_000
# Bytes of a batch that is received whole before it is refused.
LONG_BODY = 31 << 20
PROMISE = struct.pack(">ihhi", 32 << 20, 0, 7, 1)


def connect(broker, receive=None, address=None):
    host, port = (address or broker.kafka).rsplit(":", 1)
    conn = socket.socket()
    if receive:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    conn.settimeout(10)
    conn.connect((host, int(port)))
    return conn


def give(conn, data):
    """Sends as much as is taken without waiting."""
    conn.settimeout(0.05)
    sent = 0
    try:
        while sent < len(data):
            sent += conn.send(data[sent:sent + (1 << 20)])
    except OSError:
        pass
    return sent


def exactly(conn, length):
    data = bytearray(length)
    view, have = memoryview(data), 0
    while have < length:
        more = conn.recv_into(view[have:])
        check(more, "the good client was closed")
        have += more
    return data


def ask(conn, data):
    """The answer to a request, without its length."""
    conn.sendall(data)
    return exactly(conn, struct.unpack(">i", exactly(conn, 4))[0])


class Good:
    """A producer that sends a record every few milliseconds and notes how long each takes."""

    def __init__(self, broker, size=40_000, data=None, again=0):
        # How often it may be closed and comes again, as producers do.
        self.broker, self.again = broker, again
        self.times, self.failure, self.stop = [], None, threading.Event()
        self.conn, self.data = connect(broker), data or produce("good", size)
        self.conn.settimeout(60)
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def go(self):
        self.began = time.monotonic()
        while not self.stop.is_set():
            try:
                ask(self.conn, self.data)
            except (OSError, Failed) as failure:
                if self.again == 0:
                    self.failure = failure
                    return
                self.again -= 1
                self.conn.close()
                self.conn = connect(self.broker)
                self.conn.settimeout(60)
                continue
            self.times.append(time.monotonic() - self.began)
            time.sleep(0.004)
            self.began = time.monotonic()

    def give_up(self):
        """The longest so far, that which is under way included."""
        self.stop.set()
        longest = max([time.monotonic() - self.began, *self.times])
        self.conn.close()
        return longest

    def end(self, least=5):
        """99th percentile and longest."""
        self.stop.set()
        self.thread.join(70)
        check(not self.failure and not self.thread.is_alive(), f"the good producer stands still: {self.failure}")
        self.conn.close()
        times = sorted(self.times)
        check(len(times) >= least, f"only {len(times)} records in all: {times}")
        return times[len(times) * 99 // 100], times[-1]


class Apart:
    """A process of its own with so many peers, which `go` plays. It ends with this one, however that ends."""

    def __init__(self, broker, count):
        self.parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            try:
                self.go(broker, count)
            finally:
                os._exit(0)

    def is_wanted(self):
        return os.getppid() == self.parent

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def metric(broker, name, *having):
    with urllib.request.urlopen(f"http://{broker.http}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    found = [line for line in lines if line.split("{")[0].removesuffix("_total") == name and all(f'"{word}"' in line for word in having)]
    check(found, f"no metric {name}")
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def live(broker):
    with urllib.request.urlopen(f"http://{broker.http}/health/live", timeout=10) as page:
        return page.status == 200


def serve(directory, name, *flags):
    return Broker(os.path.join(directory, name), *SMALL, *flags, cores=1, kafka="127.0.0.1:0", http="127.0.0.1:0")


def under(broker, attack, seconds=SECONDS, least=5, again=0):
    """Figures of the good producer before and under an attack, and how much memory grew."""
    broker.run("topic", "create", "good", ok=False)
    quiet = Good(broker)
    time.sleep(2)
    before, _ = quiet.end(least=5)
    idle, peak = broker.resident_bytes(), 0
    good = Good(broker, again=again)
    conns = attack(broker)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        check(broker.alive(), f"the broker ended\n{broker.log_tail()}")
        peak = max(peak, broker.resident_bytes() - idle)
        time.sleep(0.1)
    p99, longest = good.end(least)
    check(live(broker), "not live")
    return before, p99, longest, peak, conns


def hold(before, p99, peak, most):
    check(p99 <= 2 * before + SLACK, f"p99 {p99:.3f} s beside {before:.3f} s without the attack")
    check(peak <= most, f"memory grew by {peak >> 20} MiB, more than {most >> 20}")


def close_all(broker, conns):
    """Everything that they held comes back."""
    for conn in conns:
        conn.close()
    until = time.monotonic() + 8
    while held := metric(broker, "leveret_memory_used_bytes", "requests") + metric(broker, "leveret_connections"):
        check(time.monotonic() < until, f"{held:.0f} bytes and connections are left after all have gone")
        time.sleep(0.2)
    turn = metric(broker, "leveret_core_longest_turn_cpu_seconds")
    if turn > TURN:
        raise LongTurn(f"a turn of {turn * 1e3:.1f} ms of CPU")
    return turn
