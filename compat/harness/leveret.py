"""What every check in compat/ needs: the binaries, a broker on a directory of its own, its end by process id.

A check is a Python 3 program without dependencies. It builds nothing and downloads nothing: `cargo build --release`
comes first. Brokers listen on loopback, on a port that the kernel chooses, and never outlive the check.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
LEVERET = os.environ.get("LEVERET", os.path.join(TARGET, "release", "leveret"))
LOADGEN = os.environ.get("LEVERET_LOADGEN", os.path.join(TARGET, "release", "leveret-loadgen"))

# The most CPU time that a turn of a core may take once a broker is ready, milliseconds; a check during which one takes more
# fails. 0: nobody looks. `compat/torture/run` sets it.
MOST_TURN_MS = float(os.environ.get("LEVERET_MOST_TURN_MS", 0))
# What was seen beyond that.
LONG_TURNS = []

# A small journal laps soon and leaves little on the disk.
SMALL = ["--set", "memory.cache.bytes=256 MiB", "--set", "journal.bytes=64 MiB", "--set", "segment.bytes=16 MiB", "--set", "disk.floor.bytes=0 B"]


class Failed(Exception):
    """A check did not hold."""


class LongTurn(Failed):
    """A turn of a core took too much CPU."""


def check(condition, what):
    """Fails the whole program with `what` unless the condition holds."""
    if not condition:
        raise Failed(what)


def say(*words):
    """Progress, on stderr."""
    print(*words, file=sys.stderr, flush=True)


def cpu_seconds(pid):
    """User and system time of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def first_cpu():
    """Where a broker that is measured runs."""
    return min(os.sched_getaffinity(0))


def load_cpus():
    """Where its load runs: everywhere else, if there is anywhere else."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[1:] or cpus


def on_load_cpus(command):
    """The command that runs this one there."""
    return ["taskset", "-c", ",".join(map(str, load_cpus())), *map(str, command)]


class Broker:
    """A broker process. Use as a context manager: it is killed at the end at the latest."""

    def __init__(self, data, *flags, cores=None, native="127.0.0.1:0", kafka="off", http="off"):
        self.data = data
        self.flags = list(flags)
        self.cores = cores
        self.stderr_path = data.rstrip("/") + ".log"
        self.process = None
        self.listen = native
        self.listen_kafka = kafka
        self.kafka = None
        self.listen_http = http
        self.http = None
        self.native = None
        self.ready_seconds = None
        self.turn_at_start = 0.0
        # A check that takes a core longer for a reason that it names allows more, milliseconds.
        self.named_turn_ms = 0.0
        self.program = LEVERET
        if MOST_TURN_MS and http == "off":
            self.listen_http = "127.0.0.1:0"

    def start(self, timeout=60):
        command = [self.program, "serve", "--data", self.data, "--native", self.listen,
                   "--kafka", self.listen_kafka, "--http", self.listen_http, *self.flags]
        if self.cores:
            command += ["--cores", str(self.cores)]
        began = time.monotonic()
        with open(self.stderr_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(timeout)
        line = lines[0].decode() if lines else ""
        self.ready_seconds = time.monotonic() - began
        if not line.startswith("ready "):
            self.kill()
            raise Failed(f"the broker did not get ready: {line!r}\n{self.log_tail()}")
        self.ready = line.strip()
        words = dict(word.split("=", 1) for word in self.ready.split()[1:] if "=" in word)
        self.native = words["native"]
        self.kafka = words.get("kafka")
        self.http = words.get("http")
        # Turns of the start are its own: what it has to carry over is not a peer's doing.
        self.turn_at_start = self.longest_turn_ms()
        return self

    def longest_turn_ms(self):
        """CPU time of the longest turn of any core so far; 0 if nobody looks, or the broker does not answer."""
        if not MOST_TURN_MS or not self.alive() or not self.http:
            return 0.0
        try:
            with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=5) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return 0.0
        turns = [line for line in lines if line.startswith("leveret_core_longest_turn_cpu_seconds")]
        return max([float(line.rsplit(" ", 1)[1]) * 1e3 for line in turns], default=0.0)

    def judge_turns(self):
        """Remembers a turn that was too long, for the end of the check."""
        longest, most = self.longest_turn_ms(), max(MOST_TURN_MS, self.named_turn_ms)
        if longest > max(most, self.turn_at_start):
            LONG_TURNS.append(f"a turn of {longest:.1f} ms of CPU, beyond {most:g}")

    def log_tail(self, lines=20):
        with open(self.stderr_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def kill(self):
        """kill -9, and its end."""
        self.judge_turns()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, timeout=10):
        """A graceful stop; returns exit code and seconds."""
        self.judge_turns()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        return code, time.monotonic() - began

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def resident_bytes(self):
        return resident_bytes(self.process.pid)

    def run(self, *arguments, **options):
        """Runs a client command against this broker; returns its standard output as bytes."""
        return leveret(*arguments, "--server", self.native, **options)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


def leveret(*arguments, stdin=b"", ok=True, timeout=300):
    """Runs the command line to its end. With `ok`, a non-zero exit fails the check."""
    done = subprocess.run([LEVERET, *arguments], input=stdin, capture_output=True, timeout=timeout)
    if ok and done.returncode != 0:
        raise Failed(f"leveret {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout if ok else done


def consume_json(broker, topic, *flags):
    """Every record of a topic as the command line prints it."""
    out = broker.run("consume", topic, "--from", "beginning", "--until-end", "--json", *flags)
    return [json.loads(line) for line in out.splitlines()]


class Directory:
    """A directory for one check, removed when the check has passed."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f"leveret-{name}-")

    def __enter__(self):
        return self.path

    def __exit__(self, failure, *_):
        if failure is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            say(f"kept for a look: {self.path}")


def judge(name, check_it):
    """The result of a check, which is made up to twice more after a turn that was too long: what the machine charges to a core (a
    page that its host has to find, a processor that it takes away) comes now and then, what the broker does comes each time."""
    for last in (False, False, True):
        LONG_TURNS.clear()
        try:
            result = check_it()
            if LONG_TURNS:
                raise LongTurn("; ".join(LONG_TURNS[:3]))
            return result
        except LongTurn as turn:
            if last:
                raise
            say(f"{name}: {turn}; once more")


def judge_part(name, part):
    """The same for a part that works in a directory."""
    def in_directory():
        with Directory(name) as directory:
            return part(directory)
    return judge(name, in_directory)


def main(body):
    """Runs a check: exit 0 if it holds, 1 with one line if not."""
    if not os.path.exists(LEVERET):
        say(f"{LEVERET} is missing: run `cargo build --release --workspace` first")
        sys.exit(1)
    try:
        judge("turns", body)
    except Failed as failure:
        say(f"FAILED: {failure}")
        sys.exit(1)
