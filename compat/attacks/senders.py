"""Attacks by peers that send halves of requests: see `run`."""

import contextlib
import random
import select
import socket
import struct
import threading
import time

from leveret import Failed, check, say
from tools import Apart, Good, LONG, LONG_MOST, AWAITED, NEW_MOST, PROVEN_MOST, PROMISE, SECONDS, SLOWER, ask, close_all, connect, exactly, give, hold, metric, produce, serve, under, live, request


def promise(broker):
    conns = [connect(broker) for _ in range(82)]
    for conn in conns[:2]:
        give(conn, PROMISE)
    half = struct.pack(">ihhi", 1_200_000, 0, 7, 1) + bytes(600_000)
    for conn in conns[2:]:
        give(conn, half)
    return conns


def promises(directory):
    with serve(directory, "data") as broker:
        before, p99, longest, peak, conns = under(broker, promise)
        hold(before, p99, peak, 160 << 20)
        close_all(broker, conns)
        broker.stop()
    with serve(directory, "small", "--set", "memory.requests.bytes=1 MiB") as broker:
        broker.run("topic", "create", "good")
        conns = promise(broker)
        long = Good(broker, LONG)
        time.sleep(1)
        held_up = long.give_up()
        check(held_up > 0.4, f"with 1 MiB it was held up for {held_up:.3f} s only, so this shows nothing")
        broker.kill()
    return f"p99 {p99 * 1e3:.1f} ms beside {before * 1e3:.1f}, longest {longest:.3f} s; with 1 MiB {held_up:.1f} s"


class Again(Apart):
    """A process of its own with so many peers that send `first` and half of a request, and come again whenever they are closed."""

    def __init__(self, broker, count, first=b""):
        self.first = first
        super().__init__(broker, count)

    def go(self, broker, count):
        halves = [self.first + struct.pack(">ihhi", 2 * size, 0, 7, 1) + bytes(size) for size in (600_000, 30_000)]
        left, poll = {}, select.epoll()

        def come(number):
            host, port = broker.kafka.rsplit(":", 1)
            conn = socket.create_connection((host, int(port)))
            conn.setblocking(False)
            left[conn.fileno()] = [conn, number, memoryview(halves[number % 5 == 4])]
            poll.register(conn, select.EPOLLIN | select.EPOLLOUT)
        for number in range(count):
            come(number)
        while self.is_wanted():
            for fd, events in poll.poll():
                conn, number, data = left[fd]
                try:
                    if events & select.EPOLLOUT:
                        left[fd][2] = data = data[conn.send(data):]
                        if not data:
                            poll.modify(fd, select.EPOLLIN)
                    gone = events & ~(select.EPOLLOUT | select.EPOLLIN) or events & select.EPOLLIN and not conn.recv(1 << 16)
                except OSError:
                    gone = True
                if gone:
                    poll.unregister(fd)
                    del left[fd]
                    conn.close()
                    come(number)


def again(directory):
    # What good producers leave in the cache is not the attack's.
    with serve(directory, "data", "--set", "memory.cache.bytes=8 MiB") as broker:
        broker.run("topic", "create", "good")
        long = [Good(broker, LONG)]

        def attack(broker):
            check(long[0].times, "the producer of long requests has not begun")
            long[0].times.clear()
            conns = [Again(broker, 300)]
            time.sleep(1)
            long.append(Good(broker, LONG))
            return conns
        # Slow ones are closed after some seconds.
        before, p99, longest, peak, conns = under(broker, attack, seconds=max(SECONDS, 6))
        hold(before, p99, peak, 160 << 20)
        held_up = long[1].give_up()
        check(held_up > 0.4, f"a newcomer with {LONG} bytes was held up for {held_up:.3f} s only, so this shows nothing")
        long_p99, long_most = long[0].end(least=20)
        check(long_p99 <= LONG_MOST, f"p99 of a producer of {LONG} bytes {long_p99:.3f} s")
        closed = metric(broker, "leveret_connections_slow_closed")
        check(closed > 50, f"only {closed:.0f} came again")
        turn = close_all(broker, conns)
        broker.stop()
    return (f"p99 {p99 * 1e3:.1f} ms beside {before * 1e3:.1f}, longest {longest:.3f} s; of {LONG} bytes p99 {long_p99 * 1e3:.1f} ms, longest {long_most:.3f} s, a newcomer {held_up:.1f} s; "
            f"{closed:.0f} came again, longest turn {turn * 1e3:.1f} ms")


class Newcomers:
    """One after the other comes anew with a long request and notes how long that takes."""

    def __init__(self, broker):
        self.times, self.data, self.stop = [], produce("good", LONG), threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.go, args=(broker,), daemon=True)
        self.thread.start()

    def go(self, broker):
        while not self.stop.is_set():
            self.began = time.monotonic()
            # One that is closed meanwhile sends again.
            with contextlib.suppress(OSError, Failed), connect(broker) as conn:
                conn.settimeout(30)
                ask(conn, self.data)
                self.times.append(time.monotonic() - self.began)
            time.sleep(0.02)

    def end(self):
        """How many, and the longest, that which is under way included."""
        self.stop.set()
        self.thread.join(1)
        return len(self.times), max([time.monotonic() - self.began if self.thread.is_alive() else 0, *self.times])


# 64 MiB of requests and 8 of cache; as much again while 400 MB come at once: buffers that are being written to segments, and what
# was freed, which the allocator returns when there is little to do. 145 to 164 MiB were seen.
WHOLE_MOST = 192 << 20


def proven_beside(directory, memory, count):
    flags = ["--set", "memory.cache.bytes=8 MiB", "--set", f"memory.requests.bytes={memory}"]
    with serve(directory, memory.replace(" ", ""), *flags) as broker:
        broker.run("topic", "create", "good")
        long = Good(broker, LONG)
        whole, beside = produce("good", 530_000), []

        def attack(broker):
            check(len(long.times) > 20, f"the producer of long requests has sent {len(long.times)}, and not proved itself")
            long.times.clear()
            conns = [Again(broker, count, first=whole)]
            time.sleep(1)
            beside.append(Newcomers(broker))
            return conns
        before, p99, longest, peak, conns = under(broker, attack, seconds=max(SECONDS, 6))
        came, slowest = beside[0].end()
        long_p99, long_most = long.end(least=20)
        closed = metric(broker, "leveret_connections_slow_closed")
        turn = close_all(broker, conns)
        broker.stop()
    figures = (f"{memory}: p99 {p99 * 1e3:.1f} ms beside {before * 1e3:.1f}, of {LONG} bytes {long_p99 * 1e3:.1f} ms, longest {long_most:.3f} s, "
               f"{came} newcomers, longest {slowest:.1f} s; {closed:.0f} came again, {peak >> 20} MiB more, longest turn {turn * 1e3:.1f} ms")
    say(figures)
    # What they send whole is written like what good producers send.
    check(p99 <= PROVEN_MOST, "the good producer is held up")
    hold(before, 0, peak, WHOLE_MOST)
    check(long_p99 <= PROVEN_MOST, "the producer of long requests is held up")
    check(slowest <= NEW_MOST, "one that comes anew is held up")
    check(closed > 50, "too few came again")
    check(slowest > 0.1, "a newcomer did not wait, so this shows nothing")
    return figures


def proven(directory):
    all_figures = [proven_beside(directory, memory, count) for memory, count in (("64 MiB", 800), ("1 MiB", 200))]
    return "; ".join(all_figures)


def awaited(directory):
    with serve(directory, "data", "--set", "memory.cache.bytes=8 MiB") as broker:
        broker.run("topic", "create", "good")
        good = {size: [Good(broker, size)] for size in AWAITED}
        new = []

        def attack(broker):
            conns = [Again(broker, 300), *(connect(broker) for _ in range(300))]
            half = struct.pack(">ihhi", AWAITED[-1], 0, 7, 1) + bytes(AWAITED[-1] // 2)
            for conn in conns[1:]:
                give(conn, half)
            for size, goods in good.items():
                goods[0].times.clear()
                goods.append(Good(broker, size))
            new.append(Good(broker, LONG))
            return conns
        before, p99, longest, peak, conns = under(broker, attack, seconds=max(SECONDS, 6))
        hold(before, p99, peak, 200 << 20)
        held_up = new[0].give_up()
        check(held_up > 0.4, f"a newcomer with {LONG} bytes was held up for {held_up:.3f} s only, so this shows nothing")
        said = []
        for size, goods in good.items():
            for one in goods:
                one_p99, one_longest = one.end(least=20)
                check(one_p99 <= LONG_MOST, f"p99 of a producer of {size} bytes {one_p99:.3f} s")
                said.append(f"{size} p99 {one_p99 * 1e3:.1f} ms, longest {one_longest:.3f} s")
        turn = close_all(broker, conns)
        broker.stop()
    return (f"p99 {p99 * 1e3:.1f} ms beside {before * 1e3:.1f}, longest {longest:.3f} s; {'; '.join(said)}; of {LONG} a newcomer {held_up:.1f} s; "
            f"longest turn {turn * 1e3:.1f} ms")


class Slow:
    """A producer of records of so many bytes at so many bytes a second, which pauses for so long after every eighth piece of a
    twentieth of that, and sends again when it is closed."""

    def __init__(self, broker, size, rate, pause=0.0):
        self.size, self.rate, self.pause = size, rate, pause
        self.times, self.cut, self.stop = [], 0, threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.go, args=(broker,), daemon=True)
        self.thread.start()

    def go(self, broker):
        conn = None
        while not self.stop.is_set():
            self.began, data, answered = time.monotonic(), produce("good", self.size), False
            while not answered and not self.stop.is_set():
                try:
                    conn = conn or connect(broker)
                    if not self.send(conn, data):
                        break
                    conn.settimeout(60)
                    exactly(conn, struct.unpack(">i", exactly(conn, 4))[0])
                    answered = True
                except (OSError, Failed):
                    self.cut += 1
                    conn = conn and conn.close()
                    time.sleep(0.05)
            if answered:
                self.times.append(time.monotonic() - self.began)
        if conn:
            conn.close()

    def send(self, conn, data):
        """Whether all was sent before it was to stop."""
        piece = self.rate // 20
        for number, at in enumerate(range(0, len(data), piece), 1):
            if self.stop.is_set():
                return False
            conn.sendall(data[at:at + piece])
            time.sleep(0.05 if number % 8 else max(0.05, self.pause))
        return True

    def end(self):
        self.stop.set()
        self.thread.join(70)
        return self.times


# Bytes of a record, bytes a second, seconds of a pause. The first waits in the kernel, the others for memory.
SLOW = (400_000, 100_000, 0), (600_000, 200_000, 0.5), (1_000_000, 300_000, 0.5)


def slow(directory):
    with serve(directory, "data", "--set", "memory.cache.bytes=8 MiB") as broker:
        broker.run("topic", "create", "good")

        def times(count, within):
            """How long each takes for its next requests."""
            producers = [Slow(broker, *one) for one in SLOW for _ in range(2)]
            until = time.monotonic() + within
            while any(len(one.times) < count for one in producers) and time.monotonic() < until:
                time.sleep(0.1)
            return producers, [one.end()[:count] for one in producers]
        _, alone = times(1, 30)
        check(all(alone), f"not all got through alone: {alone}")
        halves = Again(broker, 300)
        time.sleep(1)
        too_slow = Slow(broker, 600_000, 16_000)
        producers, beside = times(2, 2 * SLOWER * max(taken for taken, in alone))
        closed = metric(broker, "leveret_connections_slow_closed")
        said = []
        for one, (before,), after in zip(producers, alone, beside):
            said.append(f"{one.size} bytes at {one.rate}/s, pauses {one.pause} s: {before:.1f} s, beside {' and '.join(f'{taken:.1f}' for taken in after)}, closed {one.cut}")
        say("; ".join(said))
        for one, (before,), after in zip(producers, alone, beside):
            check(len(after) == 2 and sum(after) <= 2 * SLOWER * before, f"{one.size} bytes at {one.rate}/s: {after} s beside {before:.1f} alone")
        too_slow.end()
        check(too_slow.cut and not too_slow.times, f"one of 16 KB/s was closed {too_slow.cut} times, so this shows nothing")
        check(closed > 50, f"only {closed:.0f} came again")
        turn = close_all(broker, [halves])
        broker.stop()
    return f"{'; '.join(said)}; one that is too slow closed {too_slow.cut} times; {closed:.0f} came again, longest turn {turn * 1e3:.1f} ms"


def goers(directory):
    chance = random.Random(7)
    with serve(directory, "data", "--set", "connections.hello.timeout=1 s", "--set", "memory.requests.bytes=4 MiB") as broker:
        def attack(broker):
            conns = []
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                conn = connect(broker)
                give(conn, PROMISE + bytes(chance.choice((0, 1000, 70_000, 200_000))))
                conns.append(conn)
                while len(conns) > 120:
                    conns.pop(chance.randrange(len(conns))).close()
            return conns
        broker.run("topic", "create", "good")
        good = Good(broker)
        conns = attack(broker)
        _, longest = good.end(least=1)
        check(longest < 5, f"held up for {longest:.1f} s")
        check(live(broker), "not live")
        close_all(broker, conns)
        ask(connect(broker), produce("good", 900_000))
        broker.stop()
    return f"longest {longest:.3f} s, and served afterwards"
