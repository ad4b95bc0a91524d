# The same steps as .ci/run, one by one. `just` lists them.

default:
    @just --list

# Everything that CI runs.
ci:
    bash .ci/run

test:
    cargo test --workspace

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# The house rules alone: import arrows, names, file lengths, ARCHITECTURE.md.
house:
    cargo test -p leveret-broker --test house

deny:
    cargo deny check

# Seeds through the simulator.
sim seeds="1000":
    cargo run --release -p leveret-sim -- --seeds {{seeds}} --json -

# Every promise broken on purpose must be seen.
mutate:
    cargo run --release -p leveret-sim -- --mutate all

# kill -9 under load, N rounds.
crash rounds="20":
    compat/crash/run {{rounds}}

# Power cuts under the real broker on a FUSE file system, N rounds.
powercut rounds="5":
    compat/powercut/run {{rounds}}

# EIO at each site and full disks under the real broker, on the same file system.
disk-faults *args:
    compat/disk-faults/run {{args}}

# What a start reads of full journals, after kill -9 and after a clean stop.
recovery *args:
    compat/recovery/run {{args}}

# Memory limit, thousands of connections, stalled readers, one enormous message, clock jumps.
overload *args:
    compat/overload/run {{args}}

# Peers that would stop or kill the others, beside a good producer; needs a release build.
attacks *args:
    compat/attacks/run {{args}}

# Mutated bytes into every decoder and whole sessions, N seconds each.
fuzz seconds="60" *targets:
    cargo run --release -p leveret-fuzz -- --seconds {{seconds}} {{targets}}

# All harder faults in turn, with a table at the end.
torture minutes="10":
    cargo build --release --workspace
    compat/torture/run {{minutes}}

# The service: the unit, its sandbox, metrics, `leveret check`.
operations:
    compat/systemd/verify
    compat/systemd/run
    compat/systemd/boot
    compat/http/run
    compat/check/run

# The client under glommio: alone, beside tokio's, and against a running broker.
client-glommio:
    cargo build --release -p leveret-broker
    .ci/client-glommio

# Real Kafka clients against the broker and each other.
kafka records="1000000":
    compat/kafka/run --records {{records}}

# Real Kafka clients as members of consumer groups.
groups *args:
    compat/groups/run {{args}}

# Floors, targets, figures and raw limits side by side, on an otherwise idle machine.
figures *args:
    compat/figures/run {{args}}

# CPU a message beside another build's `leveret`, in turn: `just figures-against OLD/target/release/leveret`.
figures-against old *args:
    compat/figures/against {{old}} {{args}}

# Where the time of a durable produce goes.
where *args:
    compat/figures/where {{args}}

# Beside Apache Kafka, in turn in one run, on an otherwise idle machine.
beside-kafka *args:
    compat/beside-kafka/run {{args}}

# Bytes that fetches copy in user space.
zero-copy:
    compat/zero-copy/run

# What the inside costs, on an otherwise idle machine. A filter chooses: `just bench append`.
bench *args:
    cargo bench -p leveret-benches -- {{args}}

# Two commits' benches in turn, the ratio of each with its range: `just bench-compare main HEAD 'append|commit' --rounds 5`.
bench-compare a b *args:
    benches/compare {{a}} {{b}} {{args}}

# Every line of the cargo registry's sources through the broker and back, killed twice.
real-input *args:
    compat/real-input/run {{args}}
