"""Attacks by readers that take nothing, beside such as do: see `run`."""

import contextlib
import http.client
import select
import threading
import time

from leveret import Failed, check
from tools import Apart, Good, PROOF, READ_MOST, SECONDS, SHORT, SLACK, ask, close_all, connect, fetch, give, hold, metric, produce, serve, under


class Gauge:
    """The most that answers took meanwhile, as the broker tells."""

    def __init__(self, broker):
        self.most, self.stop = 0, threading.Event()
        self.thread = threading.Thread(target=self.go, args=(broker,), daemon=True)
        self.thread.start()

    def go(self, broker):
        while not self.stop.wait(0.05):
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.most = max(self.most, metric(broker, "leveret_memory_used_bytes", "responses"))

    def end(self):
        self.stop.set()
        self.thread.join(20)
        return self.most


# Of all answers, and what two lone reads come to beyond that: a batch and what is beside it.
BUDGET, LONE = 32 << 20, 2 << 20


def stall(broker, seconds, least=5):
    """Figures of the good producer before and under readers that never read, of a good reader beside it, and what answers took."""
    broker.run("topic", "create", "good")
    broker.run("topic", "create", "long")
    with connect(broker) as conn:
        data = produce("long", 900_000)
        for _ in range(60):
            ask(conn, data)
        ask(conn, produce("good", 100_000))
    read = fetch("good", [0], most=100_000)

    def attack(broker):
        conns = []
        for number in range(300):
            conn = connect(broker, receive=4096)
            give(conn, fetch("long", [0], offset=number % 50, most=50 << 20) * 3)
            conns.append(conn)
        return conns
    reader = Good(broker, data=read)
    time.sleep(1.5)
    # It goes on under the attack: by then it has shown that it takes what it asks for.
    quiet, reader.times = sorted(reader.times), []
    gauge = Gauge(broker)
    before, p99, longest, peak, conns = under(broker, attack, seconds, least)
    most, (read_p99, read_longest) = gauge.end(), reader.end(least)
    read_before = quiet[len(quiet) * 99 // 100]
    return before, p99, longest, peak, conns, most, read_before, read_p99, read_longest


def stalled(directory):
    few = ["--set", "memory.cache.bytes=8 MiB"]
    with serve(directory, "data", "--set", f"memory.responses.bytes={BUDGET >> 20} MiB", *few) as broker:
        before, p99, longest, peak, conns, most, read_before, read_p99, read_longest = stall(broker, max(SECONDS, 6))
        hold(before, p99, peak, 96 << 20)
        check(read_p99 <= 2 * read_before + SLACK, f"the reader's p99 {read_p99:.3f} s beside {read_before:.3f} s without the attack")
        check(most <= BUDGET + LONE, f"answers took {most / (1 << 20):.1f} MiB")
        closed = metric(broker, "leveret_connections_unread_closed")
        turn = close_all(broker, conns)
        broker.stop()
    with serve(directory, "more", "--set", "memory.responses.bytes=4 GiB", *few) as broker:
        *_, wide, _, _, _ = stall(broker, 2, least=1)
        check(wide > 4 * BUDGET, f"allowed more they take {wide / (1 << 20):.1f} MiB, so this shows nothing")
        broker.kill()
    return (f"answers took {most / (1 << 20):.1f} MiB, {peak >> 20} MiB more in all, {closed:.0f} closed, p99 {p99 * 1e3:.1f} ms beside "
            f"{before * 1e3:.1f}, longest {longest:.3f} s; a reader's {read_p99 * 1e3:.1f} beside {read_before * 1e3:.1f}, longest {read_longest:.3f} s; "
            f"longest turn {turn * 1e3:.1f} ms; allowed more {wide / (1 << 20):.0f} MiB")


class Piped(Apart):
    """A process of its own with so many peers that pipeline fetches and read none, but for every other one that reads some first; those that
    are closed come again."""

    def go(self, broker, count):
        poll, conns = select.epoll(), {}

        def come(number):
            conn = connect(broker, receive=4096)
            if number % 2:
                ask(conn, fetch("long", [0], offset=number % 50, most=PROOF))
            conn.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                conn.send(fetch("long", [0], offset=number % 50, most=50 << 20) * 300)
            conns[conn.fileno()] = conn, number
            poll.register(conn, select.EPOLLRDHUP)
        for number in range(count):
            threading.Thread(target=self.again, args=(come, number), daemon=True).start()
        while self.is_wanted():
            for fd, _ in poll.poll(0.1):
                poll.unregister(fd)
                conn, number = conns.pop(fd)
                conn.close()
                threading.Thread(target=self.again, args=(come, number), daemon=True).start()

    @staticmethod
    def again(come, number):
        with contextlib.suppress(OSError, Failed):
            come(number)


class Newcomers:
    """Readers that come one after the other, ask for 1 MiB, and go; how long each waits for it."""

    def __init__(self, broker):
        self.times, self.stop, self.broker = [], threading.Event(), broker
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def go(self):
        while not self.stop.is_set():
            self.began = time.monotonic()
            # One that is closed meanwhile asks again.
            while not self.stop.is_set() and not self.has_read():
                pass
            self.times.append(time.monotonic() - self.began)
            time.sleep(0.02)

    def has_read(self):
        with contextlib.suppress(OSError, Failed), connect(self.broker) as conn:
            conn.settimeout(60)
            return len(ask(conn, fetch("long", [0], offset=len(self.times) % 50))) > 1000
        return False

    def end(self):
        self.stop.set()
        times = sorted([*self.times, time.monotonic() - self.began])
        self.thread.join(20)
        return times[len(times) * 99 // 100], times[-1]


class Slow:
    """A reader of 64 KB in a second, and how often it was closed."""

    def __init__(self, broker):
        self.closed, self.bytes, self.stop, self.broker = 0, 0, threading.Event(), broker
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def go(self):
        while not self.stop.is_set():
            with connect(self.broker, receive=32 << 10) as conn, contextlib.suppress(OSError):
                conn.sendall(fetch("long", [0], offset=3) * 20)
                while not self.stop.wait(0.1):
                    data = conn.recv(6400)
                    if not data:
                        break
                    self.bytes += len(data)
                else:
                    return
            self.closed += 1

    def end(self):
        self.stop.set()
        self.thread.join(20)
        return self.closed


def piped(broker, seconds, count):
    """What `stall` says, of such peers, and figures of those that come anew and of the slow one."""
    broker.run("topic", "create", "good")
    broker.run("topic", "create", "long")
    with connect(broker) as conn:
        data = produce("long", 900_000)
        for _ in range(60):
            ask(conn, data)
    reader, slow, new = Good(broker, data=fetch("long", [0], offset=7)), Slow(broker), Newcomers(broker)
    time.sleep(2)
    quiet = []

    def attack(broker):
        # By now it has read much more than it leaves unread.
        quiet.extend(sorted(reader.times))
        reader.times.clear()
        new.times.clear()
        return [Piped(broker, count)]
    gauge = Gauge(broker)
    before, p99, longest, peak, conns = under(broker, attack, seconds)
    most, (read_p99, read_longest), (new_p99, new_longest) = gauge.end(), reader.end(), new.end()
    return before, p99, longest, peak, conns, most, quiet[len(quiet) * 99 // 100], read_p99, read_longest, new_p99, new_longest, slow.end()


# How many pipeline and read nothing, and what all answers may take: less than those would leave unread.
PIPED, ANSWERS = (60, 48 << 20) if SHORT else (150, 4 * BUDGET)


def unread(directory):
    few = ["--set", "memory.cache.bytes=8 MiB"]
    with serve(directory, "data", "--set", f"memory.responses.bytes={ANSWERS >> 20} MiB", *few) as broker:
        seconds = max(SECONDS, 8)
        (before, p99, longest, peak, conns, most, read_before, read_p99, read_longest, new_p99, new_longest, slow) = piped(broker, seconds, PIPED)
        hold(before, p99, peak, ANSWERS + 2 * BUDGET)
        check(read_p99 <= 2 * read_before + SLACK, f"the reader's p99 {read_p99:.3f} s beside {read_before:.3f} s without the attack")
        check(new_p99 <= READ_MOST, f"p99 of those that come anew {new_p99:.3f} s")
        check(most <= ANSWERS + LONE, f"answers took {most / (1 << 20):.1f} MiB")
        check(not slow, f"one that reads slowly was closed {slow} times")
        closed = metric(broker, "leveret_connections_unread_closed")
        check(closed > 20, f"{closed:.0f} were closed only, so this shows nothing")
        turn = close_all(broker, conns)
        broker.stop()
    with serve(directory, "little", "--set", "memory.responses.bytes=4 MiB", *few) as broker:
        *_, conns, _, _, _, _, held_up, _, _ = piped(broker, 3, PIPED)
        check(held_up > 1, f"with 4 MiB those that come anew waited {held_up:.3f} s, so this shows nothing")
        broker.kill()
        conns[0].close()
    return (f"answers took {most / (1 << 20):.1f} MiB, {peak >> 20} MiB more in all, {closed:.0f} closed, p99 {p99 * 1e3:.1f} ms beside "
            f"{before * 1e3:.1f}, longest {longest:.3f} s; a reader's {read_p99 * 1e3:.1f} beside {read_before * 1e3:.1f}, longest {read_longest:.3f} s; "
            f"of those that come anew {new_p99:.3f} s, longest {new_longest:.3f}; longest turn {turn * 1e3:.1f} ms; with 4 MiB they wait {held_up:.1f} s")
