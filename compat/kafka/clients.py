"""The clients that compat/kafka/run drives: how each is installed, writes and reads."""

import json
import os
import shutil
import subprocess
import sys
import threading

import common
from leveret import TARGET, Failed, check, consume_json, say

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
HOME = os.path.join(TARGET, "compat-kafka")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 2
SOFTWARE = ["lz4", "python-snappy", "zstandard", "crc32c"]
NOT_TO_BE_HAD = 77


def installed(name, command, **options):
    """Runs an installing command; without its success there is nothing to check."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        say(f"{name} cannot be installed: {(done.stderr or done.stdout).strip()[-500:]}")
        sys.exit(NOT_TO_BE_HAD)
    return done.stdout


# Debian's packages are installed one at a time.
APT = threading.Lock()


def debian(program, package):
    """Has a program of Debian's."""
    with APT:
        if not shutil.which(program):
            installed(program, ["apt-get", "update", "-qq"])
            installed(program, ["apt-get", "install", "-y", "-qq", package])


class Peer:
    """A client program with a Python interpreter of its own."""

    def __init__(self, name, script, packages, null_headers=False, exactly_once=False):
        self.name, self.script, self.packages = name, script, packages
        self.null_headers, self.exactly_once = null_headers, exactly_once
        self.python = os.path.join(HOME, name, "bin", "python")

    def install(self):
        home = os.path.dirname(os.path.dirname(self.python))
        mark = os.path.join(home, "installed")
        if os.path.exists(mark):
            return
        installed(self.name, [sys.executable, "-m", "venv", "--clear", home])
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        installed(self.name, [*pip, *self.packages, *SOFTWARE])
        open(mark, "w").close()

    def command(self):
        return [self.python, os.path.join(PEERS, self.script)]

    def start(self, *arguments):
        command = [*self.command(), *map(str, arguments)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, process, stdin=b"", timeout=600):
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"{self.name} did not end: {process.communicate()[1].decode()[-2000:]}")
        check(process.returncode == 0, f"{self.name} failed: {err.decode(errors='replace')[-3000:]}")
        return out

    def run(self, *arguments, stdin=b"", timeout=120):
        return self.finish(self.start(*arguments), stdin, timeout)

    def produce(self, broker, topic, records):
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        self.run("produce", broker.kafka, topic, ",".join(CODECS), stdin=lines)

    def consume(self, broker, counts):
        words = [f"{topic}:{PARTITIONS}:{count}" for topic, count in counts.items()]
        return [json.loads(line) for line in self.run("consume", broker.kafka, *words).splitlines()]

    def start_digest(self, broker, topic, partitions, count):
        return self.start("digest", broker.kafka, topic, partitions, count)


class Rust(Peer):
    """rskafka, a program of its own."""

    def __init__(self):
        super().__init__("rskafka", None, [])

    def install(self):
        manifest = os.path.join(HERE, "rust", "Cargo.toml")
        environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(HOME, "rust")}
        installed(self.name, ["cargo", "build", "--quiet", "--locked", "--manifest-path", manifest], env=environment)

    def command(self):
        return [os.path.join(HOME, "rust", "debug", "leveret-compat-kafka")]


class Kcat:
    """Debian's kcat, driven by its command line."""

    name = "kcat"
    null_headers = False

    def install(self):
        debian("kcat", "kcat")

    def produce(self, broker, topic, records):
        """It sets the time itself and takes one set of headers; nulls are empty with -Z."""
        for codec in CODECS:
            for partition in range(PARTITIONS):
                own = [record for record in records if record["p"] == partition]
                lines = b"".join((common.decode(r["k"]) or b"") + b"\x01" + (common.decode(r["v"]) or b"") + b"\x02"
                                 for r in own)
                command = ["kcat", "-P", "-b", broker.kafka, "-t", topic, "-p", str(partition), "-K", "\x01",
                           "-D", "\x02", "-Z", "-z", codec, "-H", "from=kcat", "-X", "enable.idempotence=true"]
                done = subprocess.run(command, input=lines, capture_output=True, timeout=60)
                check(done.returncode == 0, f"kcat: {done.stderr.decode()}")

    def consume(self, broker, counts):
        found = []
        for topic, count in counts.items():
            for partition in range(PARTITIONS):
                command = ["kcat", "-C", "-q", "-e", "-b", broker.kafka, "-t", topic, "-p", str(partition),
                           "-o", "beginning", "-f", "%o %T %K %S %h\\n%k%s"]
                done = subprocess.run(command, capture_output=True, timeout=120)
                check(done.returncode == 0, f"kcat: {done.stderr.decode()}")
                for offset, timestamp, key, value, headers in kcat_records(done.stdout):
                    found.append({"t": topic, "p": partition, "o": offset, "ts": timestamp, "k": common.encode(key),
                                  "v": common.encode(value), "h": headers})
        return found

    def start_digest(self, broker, topic, partitions, _count):
        out = []
        for partition in range(partitions):
            command = ["kcat", "-C", "-q", "-e", "-b", broker.kafka, "-t", topic, "-p", str(partition),
                       "-o", "beginning", "-f", "%o %T %K %S %h\\n%k%s"]
            out.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return out

    def finish(self, processes):
        lines = []
        for partition, process in enumerate(processes):
            digest = common.Digest()
            for _, timestamp, key, value, _ in kcat_records(process.communicate(timeout=600)[0]):
                digest.add(timestamp, key, value)
            lines.append(f"{partition} {digest.text()}\n")
        return "".join(lines).encode()


def kcat_records(out):
    """What kcat printed: lengths in a line, then the bytes. Headers stay as it writes them."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ", 4)
        offset, timestamp, key_len, value_len = map(int, words[:4])
        at = end + 1
        key, at = (None, at) if key_len < 0 else (out[at:at + key_len], at + key_len)
        value, at = (None, at) if value_len < 0 else (out[at:at + value_len], at + value_len)
        yield offset, timestamp, key, value, words[4].decode()


class Leveret:
    """The broker's own command line, over the native protocol: keys and values, no headers."""

    name = "leveret"
    null_headers = False

    def install(self):
        pass

    def produce(self, broker, topic, records):
        broker.run("topic", "create", topic, "--partitions", str(PARTITIONS))
        lines = b"".join(common.decode(r["k"]) + b"\x01" + common.decode(r["v"]) + b"\n" for r in records)
        broker.run("produce", topic, "--key-separator", "\x01", stdin=lines)

    def consume(self, broker, counts):
        def field(record, name):
            if f"{name}_base64" in record:
                return record[f"{name}_base64"]
            return None if record[name] is None else common.encode(record[name].encode())

        return [{"t": topic, "p": record["partition"], "o": record["offset"], "ts": record["timestamp"],
                 "k": field(record, "key"), "v": field(record, "value"), "h": None}
                for topic in counts for record in consume_json(broker, topic)]


PEER_LIST = [
    Peer("kafka-python-2.0.2", "kafka_python.py", ["kafka-python==2.0.2", "six"]),
    Peer("kafka-python", "kafka_python.py", ["kafka-python"]),
    Peer("confluent-kafka", "confluent.py", ["confluent-kafka"], null_headers=True, exactly_once=True),
    Peer("aiokafka", "aio.py", ["aiokafka"], exactly_once=True),
    Rust(),
    Kcat(),
    Leveret(),
]
