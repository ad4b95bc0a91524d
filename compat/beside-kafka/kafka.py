"""Apache Kafka as a process of its own: installed from Maven's jars, one node, its data in a directory of its own."""

import os
import signal
import socket
import struct
import subprocess
import time

from clients import debian, installed
from leveret import TARGET, Failed, check

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.path.join(TARGET, "beside-kafka")
JARS = os.path.join(HOME, "lib")
CLASS_PATH = os.path.join(JARS, "*")


def install():
    debian("java", "default-jre-headless")
    debian("mvn", "maven")
    mark = os.path.join(HOME, "installed")
    if not os.path.exists(mark):
        pom = os.path.join(HERE, "java", "pom.xml")
        installed("Apache Kafka", ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"])
        open(mark, "w").close()


def java(*arguments, options=()):
    """The command that runs a class of Kafka's."""
    return ["java", *options, "-cp", CLASS_PATH, *map(str, arguments)]


def version():
    jars = [name for name in os.listdir(JARS) if name.startswith("kafka-clients-")]
    return jars[0].removeprefix("kafka-clients-").removesuffix(".jar")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    """Whether a broker behind this port says of itself that it is there: Metadata v1 lists at least one node."""
    request = struct.pack(">hhihi", 3, 1, 7, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as peer:
            peer.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 12:
                more = peer.recv(4096)
                if not more:
                    return False
                answer += more
    except OSError:
        return False
    correlation, nodes = struct.unpack(">ii", answer[4:12])
    return correlation == 7 and nodes > 0


def wait_for(port, process, limit=60):
    """Seconds until the broker answers; the same question to both."""
    began = time.monotonic()
    while not answers(port):
        if process.poll() is not None or time.monotonic() - began > limit:
            raise Failed(f"no broker answers at port {port}")
        time.sleep(0.005)
    return time.monotonic() - began


class Kafka:
    """One node that is broker and controller, as its quick start has it, with the heap that its start script asks for. A deleted
    topic's files go after a second, not after a minute, when something else is measured."""

    def __init__(self, directory, cpus):
        self.directory, self.cpus = directory, cpus
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.properties = os.path.join(directory, "server.properties")
        controller = free_port()
        with open(self.properties, "w") as out:
            out.write(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{self.address}
controller.listener.names=CONTROLLER
log.dirs={directory}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.delete.delay.ms=1000
""")
        done = subprocess.run(java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", self.properties),
                              capture_output=True)
        check(done.returncode == 0, f"Kafka's storage: {done.stdout.decode()[-500:]}{done.stderr.decode()[-500:]}")

    def start(self):
        """Starts it; returns the seconds from its start until it answers."""
        options = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                   "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]
        command = ["taskset", "-c", self.cpus, *java("kafka.Kafka", self.properties, options=options)]
        with open(os.path.join(self.directory, "kafka.log"), "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return wait_for(self.port, self.process)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
