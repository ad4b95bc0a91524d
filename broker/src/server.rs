//! From settings to a running broker: recovery first, then one core per CPU over what it found.
//!
//! This joins configuration, storage's recovery, the engine and the runtime; it decides nothing
//! that they could decide.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use leveret_engine::partition::ProducerLimits;
use leveret_engine::shard::{Shard, ShardSettings};
use leveret_engine::topology::{ClusterId, TopicSettings, Topology, TopologySettings};
use leveret_storage::format::superblock::Geometry;
use leveret_storage::io::{BLOCK, IoResult, Op, OpId};
use leveret_storage::recovery::{
    Phase, Recovered, RecoveredCore, Recovery, RecoveryConfig, recover,
};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{Level, Mono, Now};
use leveret_wire::speech::Speech;

use crate::config::{Advertise, AutoSize, ByteSize, Listen, Settings, kafka_config};
use crate::core::boundary::Protocol;
use crate::core::{Core, CoreSettings, KafkaBroker, KafkaSettings, Ports, SLICE};
use crate::http::HttpServer;
use crate::runtime::{
    self, BootSetup, Bootstrap, BoundAddr, CoreSetup, CpuChoice, DmaBuf, DmaPool, ListenerConfig,
    ListenerCores, Needs, Ready, Reload, RuntimeConfig, RuntimeError, StopHandle, TrueLevel,
    memory,
};

/// Size of one journal file, bytes; a smaller journal has smaller files.
const JOURNAL_FILE: u64 = 64 << 20;
/// A ring needs a few files to turn in.
const JOURNAL_FILES_MIN: u64 = 4;

/// Serves until it is told to stop. `ready` is called once every core accepts connections, with
/// the address of the HTTP server if there is one; `reload` on SIGHUP.
///
/// # Errors
/// [`RuntimeError`] with what keeps the broker from serving.
pub fn serve(
    settings: &Settings,
    stop: &StopHandle,
    reload: Option<Reload>,
    ready: impl FnOnce(&Ready, Option<SocketAddr>),
) -> Result<runtime::Exit, RuntimeError> {
    check_advertised(settings)?;
    let settings = &here(settings);
    let mut runtime = runtime_config(settings);
    runtime.reload = reload;
    let recovery = recovery_config(settings);
    let topology = topology_settings(settings);
    let http = OnceCell::new();
    runtime::run(
        &runtime,
        stop,
        move |setup| StorageBootstrap::new(recovery, topology, setup),
        |setup| start_core(settings, setup),
        |desk| {
            if let Listen::At(addr) = settings.http_listen {
                let server = HttpServer::start(addr, desk, stop.clone())?;
                assert!(http.set(server).is_ok(), "started once");
            }
            Ok(())
        },
        |bound| {
            let ports = ports(settings, &bound.addrs);
            http.get().inspect(|http| http.serving(ports));
            ready(bound, http.get().map(HttpServer::addr));
        },
    )
}

/// Where these settings put cores.
#[must_use]
pub fn cpu_choice(settings: &Settings) -> CpuChoice {
    match (&settings.cpus, settings.cores) {
        (Some(list), _) => CpuChoice::List(list.0.iter().map(|cpu| *cpu as usize).collect()),
        (None, Some(cores)) => CpuChoice::First(usize::from(cores.get())),
        (None, None) => CpuChoice::All,
    }
}

/// The settings with what `auto` comes to on this machine.
#[must_use]
pub fn here(settings: &Settings) -> Settings {
    Settings {
        memory_cache_bytes: AutoSize::Of(cache_size(settings)),
        ..settings.clone()
    }
}

/// What each core keeps in memory of the newest records.
#[must_use]
pub fn cache_size(settings: &Settings) -> ByteSize {
    const UNIT: u64 = 1 << 20;
    match settings.memory_cache_bytes {
        AutoSize::Of(size) => size,
        AutoSize::Auto => {
            // A choice that cannot be met is told when it is about to be used.
            let cores = cpu_choice(settings).resolve().map_or(1, |cpus| cpus.len());
            let share = memory::usable().unwrap_or_default() / 4 / cores as u64;
            ByteSize((share / UNIT * UNIT).max(UNIT))
        }
    }
}

fn runtime_config(settings: &Settings) -> RuntimeConfig {
    let mut config = RuntimeConfig::new(settings.data.clone());
    config.cpus = cpu_choice(settings);
    config.listeners = listeners(settings);
    config.require_direct_io = settings.disk_require_direct;
    config.needs = needs(settings);
    config.max_connections =
        usize::try_from(settings.connections_max).expect("a bound that fits the address space");
    config
}

/// What limits of the process must allow, by these settings.
#[must_use]
pub fn needs(settings: &Settings) -> Needs {
    let journal = ring(settings.journal_bytes.0, RecoveryConfig::default().geometry);
    let requests = settings.memory_requests_bytes.0;
    Needs {
        file: settings.segment_bytes.0.max(journal.file_bytes),
        memory_per_core: requests.saturating_add(cache_size(settings).0),
    }
}

fn listeners(settings: &Settings) -> Vec<ListenerConfig> {
    let mut all = vec![ListenerConfig {
        protocol: Protocol::Native,
        addr: settings.native_listen,
        cores: ListenerCores::Share,
        flag: "--native",
    }];
    if let Listen::At(addr) = settings.kafka_listen {
        all.push(ListenerConfig {
            protocol: Protocol::Kafka,
            addr,
            cores: match settings.kafka_advertise {
                Advertise::Core => ListenerCores::Apart,
                Advertise::Listen | Advertise::At { .. } => ListenerCores::Share,
            },
            flag: "--kafka",
        });
    }
    all
}

fn recovery_config(settings: &Settings) -> RecoveryConfig {
    let usual = RecoveryConfig::default();
    RecoveryConfig {
        geometry: ring(settings.journal_bytes.0, usual.geometry),
        salt: unpredictable(),
        segment_bytes: settings.segment_bytes.0,
        // Of each core: what it may hold of the newest records later on.
        cache_bytes: bytes(cache_size(settings).0),
        floor_bytes: settings.disk_floor_bytes.0,
        ..usual
    }
}

/// A number that no producer can guess: what it sends must not pass for a journal's commit.
fn unpredictable() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// A name for a data directory that has none: a random UUID (RFC 9562, version 4). Its first bit
/// is 0, so that no id begins with a dash in text.
fn random_cluster() -> ClusterId {
    let random = u128::from(unpredictable()) << 64 | u128::from(unpredictable());
    let (first_bit, version, variant) = (1 << 127, 0xf << 76, 0b11 << 62);
    let marks = 4 << 76 | 0b10 << 62;
    ClusterId(random & !(first_bit | version | variant) | marks)
}

fn ring(journal_bytes: u64, usual: Geometry) -> Geometry {
    let block = BLOCK as u64;
    let file_bytes = (journal_bytes / JOURNAL_FILES_MIN).min(JOURNAL_FILE) / block * block;
    let files = u16::try_from(journal_bytes / file_bytes).expect("64 GiB of 64 MiB files at most");
    Geometry {
        file_bytes,
        files,
        ..usual
    }
}

/// What a core of this run starts from.
struct CoreStart {
    recovered: RecoveredCore,
    topology: Topology,
}

/// Recovery, and the topology that it brings back.
struct StorageBootstrap {
    recovery: Recovery<DmaPool>,
    settings: TopologySettings,
    began: Mono,
    now: Mono,
    /// When it is time to say how far it is.
    say_at: Mono,
}

/// A recovery that takes longer says how far it is, as often.
const SAY_EVERY_NS: u64 = 1_000_000_000;

impl StorageBootstrap {
    fn new(config: RecoveryConfig, settings: TopologySettings, setup: BootSetup) -> Self {
        let cores = setup.cores;
        let config = RecoveryConfig {
            cores,
            cache_bytes: config.cache_bytes.saturating_mul(usize::from(cores)),
            ..config
        };
        Self {
            recovery: recover(config, setup.pool),
            settings,
            began: setup.now.mono,
            now: setup.now.mono,
            say_at: setup.now.mono.after(SAY_EVERY_NS),
        }
    }

    fn say_how_far(&mut self) {
        if self.now < self.say_at {
            return;
        }
        self.say_at = self.now.after(SAY_EVERY_NS);
        let progress = self.recovery.progress();
        let traffic = self.recovery.traffic();
        let what = match progress.phase {
            Phase::Finding => "journals searched for their ends",
            Phase::Reading => "bytes of a journal read",
            Phase::Writing => "logs carried over",
        };
        tracing::info!(
            done = progress.done,
            of = progress.total,
            bytes_read = traffic.read,
            bytes_written = traffic.written,
            "recovering: {what}"
        );
    }

    fn starts(&self, recovered: Recovered) -> Result<Vec<CoreStart>, String> {
        let topology = Topology::recovered(&recovered, self.settings);
        let mut topology = topology.map_err(|error| error.to_string())?;
        topology.propose_cluster(random_cluster());
        let summary = recovered.summary;
        for flaw in &recovered.flaws {
            tracing::warn!("{} at byte {}: {}", flaw.file, flaw.position, flaw.what);
        }
        tracing::info!(
            generation = recovered.generation.0,
            logs = summary.logs,
            entries = summary.entries,
            torn_ends = summary.torn_ends,
            journal_bytes = summary.live_bytes,
            bytes_read = summary.bytes_read,
            bytes_written = summary.bytes_written,
            segments_written = summary.segments_written,
            ms = self.now.since(self.began) / 1_000_000,
            "recovered"
        );
        let start = |recovered| CoreStart {
            recovered,
            topology: topology.clone(),
        };
        Ok(recovered.cores.into_iter().map(start).collect())
    }
}

impl Bootstrap for StorageBootstrap {
    type Recovered = CoreStart;

    fn poll_op(&mut self) -> Option<(OpId, Op<DmaBuf>)> {
        self.recovery.poll_op()
    }

    fn handle_completion(&mut self, op: OpId, result: IoResult<DmaBuf>, now: Now) {
        self.now = now.mono;
        self.recovery.handle_completion(op, result);
        self.say_how_far();
    }

    fn poll_finished(&mut self) -> Option<Result<Vec<CoreStart>, String>> {
        let result = self.recovery.poll_result()?;
        Some(match result {
            Ok(recovered) => self.starts(recovered),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// The strongest level that acknowledgements can truly have.
#[must_use]
pub fn true_level(level: TrueLevel) -> Level {
    match level {
        TrueLevel::Durable => Level::Synced,
        TrueLevel::Written => Level::Written,
        TrueLevel::PageCache => Level::Memory,
    }
}

fn start_core(settings: &Settings, setup: CoreSetup<CoreStart>) -> Result<Core<DmaPool>, String> {
    let CoreStart {
        recovered,
        topology,
    } = setup.recovered;
    let core_settings = CoreSettings {
        cores: setup.cores,
        cpu: u32::try_from(setup.cpu).expect("a CPU number"),
        max_batch_bytes: settings.largest_message(),
        request_bytes: bytes(settings.memory_requests_bytes.0),
        response_bytes: bytes(settings.memory_response_bytes.0),
        answers_bytes: bytes(settings.memory_responses_bytes.0),
        slice: SLICE,
        hello_ns: millis(settings.connections_hello_timeout) * 1_000_000,
        idle_ns: millis(settings.connections_idle_timeout) * 1_000_000,
        hello_max: settings
            .connections_hello_max
            .div_ceil(u32::from(setup.cores)) as usize,
        cache_bytes: bytes(cache_size(settings).0),
        kafka: kafka_settings(settings, &setup.addrs),
        ports: ports(settings, &setup.addrs),
        data_dir: Arc::from(shown(&settings.data)),
        true_level: true_level(setup.level),
    };
    let store = StoreConfig {
        tail_cache_bytes: bytes(cache_size(settings).0),
        disk_floor_bytes: settings.disk_floor_bytes.0,
        max_entry_bytes: settings.largest_message() as usize,
        ..StoreConfig::default()
    };
    let shard = ShardSettings {
        topics: topology_settings(settings).defaults,
        producers: ProducerLimits {
            expiry_ms: millis(settings.producer_expiry),
            ..ProducerLimits::default()
        },
        salt: u128::from(unpredictable()) << 64 | u128::from(unpredictable()),
        ..ShardSettings::default()
    };
    let shard = Shard::open(shard, store, setup.pool, recovered, &topology, setup.now)
        .map_err(|error| error.to_string())?;
    Ok(Core::new(
        setup.core,
        core_settings,
        shard,
        topology,
        setup.now,
    ))
}

/// Where protocols are served in this run, for messages.
fn ports(settings: &Settings, addrs: &[BoundAddr]) -> Ports {
    let mut ports = Ports::default();
    for bound in addrs {
        if let Some(speech) = bound.protocol.speech() {
            ports.serve(speech, bound.cores[0].to_string().into());
        }
    }
    match settings.http_listen {
        Listen::At(addr) if addr.port() != 0 => {
            ports.serve(Speech::Http, addr.to_string().into());
        }
        Listen::At(_) => {
            let there = "the port of http in the log's `serving` line";
            ports.serve(Speech::Http, there.into());
        }
        Listen::Off => {}
    }
    ports
}

/// The numbers of a node's cores begin at so many times its own.
const NODES: i32 = 1000;

/// What Kafka clients are told of this run.
fn kafka_settings(settings: &Settings, addrs: &[BoundAddr]) -> KafkaSettings {
    let bound = addrs.iter().find(|bound| bound.protocol == Protocol::Kafka);
    let listened = bound.map_or(&[][..], |bound| &bound.cores);
    let node = i32::try_from(settings.node_id).expect("bounded by the setting");
    let shown = |node: i32, addr: &SocketAddr| KafkaBroker {
        node,
        host: addr.ip().to_string(),
        port: addr.port(),
    };
    let brokers = match &settings.kafka_advertise {
        Advertise::Core => {
            let each = (node * NODES..).zip(listened);
            each.map(|(node, addr)| shown(node, addr)).collect()
        }
        Advertise::Listen => listened
            .iter()
            .take(1)
            .map(|addr| shown(node, addr))
            .collect(),
        Advertise::At { host, port } => Arc::from([KafkaBroker {
            node,
            host: host.clone(),
            port: *port,
        }]),
    };
    KafkaSettings {
        brokers,
        auto_create: settings.kafka_auto_create,
        auto_create_limit: settings.kafka_auto_create_limit,
        partitions: settings.kafka_partitions,
        request_bytes: u32::try_from(settings.kafka_request_bytes.0).expect("256 MiB at most"),
        config: kafka_config(settings).into(),
    }
}

/// Kafka clients are told where to connect to, which has to be an address that exists.
fn check_advertised(settings: &Settings) -> Result<(), RuntimeError> {
    let unreachable = match settings.kafka_listen {
        Listen::At(addr) => addr.ip().to_canonical().is_unspecified(),
        Listen::Off => false,
    };
    if unreachable && !matches!(settings.kafka_advertise, Advertise::At { .. }) {
        return Err(RuntimeError::Bootstrap(
            "`kafka.listen` is every address of this machine, which no client can be told to connect \
             to: set `kafka.advertise` to the host and port that clients reach it by"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The same on every core: core 0 decides by it, and all overlay a topic's own choices on it.
fn topology_settings(settings: &Settings) -> TopologySettings {
    TopologySettings {
        defaults: TopicSettings {
            level: settings.topic_level,
            retention_bytes: settings.topic_retention_bytes.map(|size| size.0),
            retention_ms: settings.topic_retention_time.map(millis),
            segment_bytes: settings.segment_bytes.0,
            segment_ms: millis(settings.segment_time),
            max_message_bytes: u32::try_from(settings.message_max_bytes.0)
                .expect("128 MiB at most"),
            max_message_limit: settings.largest_message(),
            timestamp_before_max_ms: any_or(settings.topic_timestamp_before_max),
            timestamp_after_max_ms: any_or(settings.topic_timestamp_after_max),
            ..TopicSettings::default()
        },
        ..TopologySettings::default()
    }
}

fn bytes(setting: u64) -> usize {
    usize::try_from(setting).expect("a 64-bit machine")
}

/// A distance between two times; without a bound Kafka's largest number, which is what topics say.
fn any_or(bound: Option<std::time::Duration>) -> u64 {
    bound.map_or(i64::MAX as u64, millis)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("bounded by the setting")
}

fn shown(path: &Path) -> String {
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_times_may_lie_from_the_clock_is_the_default_of_topics() {
        let defaults = |assignments: &[&str]| {
            let mut settings = Settings::default();
            for assignment in assignments {
                settings.apply_assignment(assignment).expect("valid");
            }
            let defaults = topology_settings(&settings).defaults;
            (
                defaults.timestamp_before_max_ms,
                defaults.timestamp_after_max_ms,
            )
        };
        assert_eq!(defaults(&[]), (i64::MAX as u64, 3_600_000));
        let set = [
            "topic.timestamp.before.max=7 days",
            "topic.timestamp.after.max=none",
        ];
        assert_eq!(defaults(&set), (604_800_000, i64::MAX as u64));
    }
}
