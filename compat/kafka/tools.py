"""Apache Kafka's own tools from Maven's jars, and librdkafka's rdkafka_performance, with their defaults."""

import json
import os
import re
import shutil
import subprocess

import common
from clients import HERE, HOME, debian, installed
from leveret import check, say

JARS = os.path.join(HOME, "java", "lib")
LIBRDKAFKA = os.path.join(HOME, "librdkafka")
PERFORMANCE = os.path.join(LIBRDKAFKA, "examples", "rdkafka_performance")
RECORDS = 50_000


def install_java():
    debian("java", "default-jre-headless")
    debian("mvn", "maven")
    if not os.path.exists(os.path.join(HOME, "java", "installed")):
        pom = os.path.join(HERE, "java", "pom.xml")
        installed("Apache Kafka", ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"])
        open(os.path.join(HOME, "java", "installed"), "w").close()


def install_performance():
    """The sources lie in a crate that compat/kafka/rust names and never builds."""
    if os.path.exists(PERFORMANCE):
        return
    manifest = os.path.join(HERE, "rust", "Cargo.toml")
    told = installed("librdkafka", ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features",
                                    "--manifest-path", manifest])
    packages = {package["name"]: package["manifest_path"] for package in json.loads(told)["packages"]}
    source = os.path.join(os.path.dirname(packages["rdkafka-sys"]), "librdkafka")
    shutil.rmtree(LIBRDKAFKA, ignore_errors=True)
    shutil.copytree(source, LIBRDKAFKA)
    off = ["--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-zstd", "--disable-lz4-ext", "--disable-sasl"]
    installed("librdkafka", ["./configure", *off], cwd=LIBRDKAFKA)
    installed("librdkafka", ["make", "-s", "-j2", "-C", "src", "librdkafka.a"], cwd=LIBRDKAFKA)
    installed("librdkafka", ["make", "-s", "-C", "examples", "rdkafka_performance"], cwd=LIBRDKAFKA)


def tool(name, *arguments, stdin=b""):
    """What a tool of Apache Kafka prints."""
    command = ["java", "-cp", os.path.join(JARS, "*"), f"org.apache.kafka.tools.{name}", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=180)
    out = done.stdout.decode(errors="replace")
    check(done.returncode == 0, f"{name}: exit {done.returncode}\n{out[-2000:]}\n{done.stderr.decode()[-2000:]}")
    return out


def java(broker):
    """Producers are idempotent by default; consumers read one partition without a group."""
    server = ["--bootstrap-server", broker.kafka]
    told = tool("ProducerPerformance", "--topic", "perf", "--num-records", RECORDS, "--record-size", 100,
                "--throughput", -1, *server)
    say("kafka-producer-perf-test:", told.strip().splitlines()[-1])
    check(f"{RECORDS} records sent" in told, told)
    check(f"perf:0:{RECORDS}" in tool("GetOffsetShell", *server, "--topic", "perf"), "the end of what it wrote")
    lines = "".join(f"key {number}\tvalue {number} ü\n" for number in range(1000)).encode()
    tool("ConsoleProducer", *server, "--topic", "console", "--reader-property", "parse.key=true", stdin=lines)
    consumer = ["consumer.ConsoleConsumer", *server, "--partition", 0, "--offset", "earliest",
                "--formatter-property", "print.key=true"]
    read = tool(*consumer, "--topic", "console", "--max-messages", 1000)
    check(read.encode() == lines, f"the console consumer reads what the console producer wrote: {read[:500]}")
    # What another library wrote, with its times.
    read = tool(*consumer, "--topic", "stream", "--max-messages", 1000, "--formatter-property", "print.timestamp=true")
    expected = [f"CreateTime:{timestamp}\t{key.decode()}\t{value.decode()}" for timestamp, key, value in common.stream(0, 1000)]
    check(read.splitlines() == expected, f"the console consumer of another's records: {read[:500]}")
    tool("TopicCommand", *server, "--create", "--topic", "by-tool", "--partitions", 3, "--config", "retention.ms=100000")
    tool("TopicCommand", *server, "--alter", "--topic", "by-tool", "--partitions", 5)
    told = tool("TopicCommand", *server, "--describe", "--topic", "by-tool")
    check("PartitionCount: 5" in told and "retention.ms=100000" in told, told)
    topic_id = re.search(r"TopicId: (\S+)", told)
    check(topic_id, f"no id: {told}")
    by_id = tool("TopicCommand", *server, "--describe", f"--topic-id={topic_id[1]}")
    check(sorted(by_id.splitlines()) == sorted(told.splitlines()), f"described by id: {by_id}")
    tool("TopicCommand", *server, "--delete", "--topic", "by-tool")
    check("by-tool" not in tool("TopicCommand", *server, "--list"), "a deleted topic")
    say("Apache Kafka's console and topic tools")


def performance(broker):
    """librdkafka's own, as producer with each acknowledgement and as consumer."""
    def run(*arguments):
        done = subprocess.run([PERFORMANCE, *map(str, arguments), "-b", broker.kafka, "-q"], capture_output=True, timeout=120)
        out = done.stdout.decode()
        check(done.returncode == 0, f"rdkafka_performance: {out[-2000:]}{done.stderr.decode()[-2000:]}")
        return out

    broker.run("topic", "create", "librdkafka", "--partitions", "1")
    for acks, idempotent in [(1, "false"), (-1, "true")]:
        told = run("-P", "-t", "librdkafka", "-p", 0, "-s", 100, "-c", RECORDS, "-a", acks, "-X",
                   f"enable.idempotence={idempotent}")
        say("rdkafka_performance:", told.strip().splitlines()[-1])
        check(re.search(rf"\b{RECORDS} delivered .*\b0 failed", told), told[-1000:])
    told = run("-C", "-t", "librdkafka", "-p", 0, "-c", 2 * RECORDS, "-o", "beginning")
    say("rdkafka_performance:", told.strip().splitlines()[0])
    check(f"% {2 * RECORDS} messages ({200 * RECORDS} bytes) consumed" in told, told[-1000:])
