//! What a seed stands for: the shape of the rings, the thresholds, the logs and their load.
//!
//! Everything is small, so that rings lap and fill, segments roll and caches overflow within a
//! few hundred appends.

use leveret_storage::class::{Behind, Classes, Replay};
use leveret_storage::format::superblock::Geometry;
use leveret_storage::mutation::Mutation;
use leveret_storage::recovery::RecoveryConfig;
use leveret_storage::store::{LogSettings, StoreConfig};
use leveret_storage::types::{Level, LogKind};

use crate::churn;
use crate::disk::Faults;
use crate::rng::Rng;

/// Longest that anything may take without faults, nanoseconds of simulated time.
pub const PATIENCE: u64 = 120_000_000_000;

/// Wall clock at simulated time zero, milliseconds.
pub const WALL: i64 = 1_700_000_000_000;

/// How one log is used.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan {
    /// Its kind.
    pub kind: LogKind,
    /// Its settings.
    pub settings: LogSettings,
    /// Entry sizes, smallest and largest, bytes.
    pub sizes: (u64, u64),
    /// Most entries appended in one go.
    pub burst: u64,
    /// One in so many entries asks for less than the log's level.
    pub weaker: u64,
    /// Longest snapshot, bytes.
    pub snapshot: u64,
}

/// One seed's circumstances.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Shape of every ring.
    pub geometry: Geometry,
    /// Thresholds of every store.
    pub store: StoreConfig,
    /// Most cores of a run.
    pub cores: u64,
    /// How many times the process is started.
    pub lives: u64,
    /// Most things done per life.
    pub actions: u64,
    /// Logs at the beginning.
    pub logs: Vec<LogPlan>,
    /// One in so many times that a producer could end, another one takes its place.
    pub turnover: u64,
    /// Remainders that recovery writes to segments, bytes.
    pub segment_threshold: u64,
    /// Bytes of the old generation that recovery keeps in memory.
    pub recovery_cache: usize,
    /// Crashes of recovery.
    pub interrupts: Interrupts,
    /// Faults of the device besides crashes.
    pub faults: Faults,
    /// What users do.
    pub workload: Workload,
}

/// What users of the stores mostly do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Append and read; now and then something else.
    Mixed,
    /// Alter and delete logs, above all while something of theirs is under way.
    Churn,
}

/// How often recovery is not let go on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    /// One recovery in so many.
    pub one_in: u64,
    /// One in so many of those with the write of the superblock in flight.
    pub at_switch: u64,
}

/// Which part of the world a run exercises besides crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No other faults: everything must always work.
    Crashes,
    /// The device refuses some operations and can fill up, by what the broker writes and by what
    /// somebody else does.
    Faults,
    /// No other faults, but the engine's shards on top of storage.
    Shards,
    /// No other faults, but whole brokers under clients of both protocols; and without crashes, brokers of
    /// different numbers of cores whose answers are compared.
    Cores,
    /// No other faults, but logs that are altered, expire and are deleted all the time, by a process
    /// that is often killed.
    Churn,
}

impl Plan {
    /// Draws the circumstances. Those of a rule that matters in few of them are drawn so that they
    /// come about often when it is broken; all of them come about without as well.
    #[must_use]
    pub fn draw(rng: &mut Rng, mode: Mode, mutation: Option<Mutation>) -> Self {
        let mut geometry = geometry(rng);
        if mutation == Some(Mutation::FreedBeforeLiveFrom) {
            // What is in flight must be able to take more than what appends leave free.
            geometry = Geometry {
                file_bytes: 16 * 4096,
                files: 3,
                max_commit_bytes: 2 * 4096,
                in_flight: 16,
            };
        }
        let logs = match rng.below(8) {
            0 => 24,
            _ => rng.between(1, 6),
        };
        let mut plan = Self {
            geometry,
            store: store(rng, &geometry, mutation),
            cores: rng.between(1, 4),
            lives: rng.between(22, 34),
            actions: rng.between(10, 60),
            logs: (0..logs).map(|_| LogPlan::draw(rng)).collect(),
            turnover: 6,
            segment_threshold: rng.magnitude(2, 32) << 10,
            recovery_cache: rng.magnitude(4, 256) as usize * 1024,
            interrupts: Interrupts {
                one_in: 4,
                at_switch: 6,
            },
            faults: Faults::default(),
            workload: Workload::Mixed,
        };
        if mutation == Some(Mutation::FreedBeforeLiveFrom) {
            plan.store.parallel_commit_bytes = 1 << 10;
            plan.store.classes.topic.bulk_from = 1 << 20;
            plan.logs.retain(|log| log.kind == LogKind::Topic);
            for log in &mut plan.logs {
                log.settings.level = Level::Synced;
                (log.sizes, log.burst, log.weaker) = ((500, 5_000), 30, 0);
            }
        }
        if mutation == Some(Mutation::OvertakesRefused) {
            // New producers must meet a full journal.
            plan.geometry = Geometry {
                file_bytes: 8 * 4096,
                files: 3,
                max_commit_bytes: 4096 * 2,
                in_flight: 1,
            };
            plan.store.commits_in_flight = 1;
            plan.store.max_commit_bytes = 8192;
            plan.turnover = 1;
        }
        if mutation == Some(Mutation::NoFirstSync) {
            // Only the superblock can be adopted unsynced: all else is written again.
            plan.interrupts = Interrupts {
                one_in: 2,
                at_switch: 2,
            };
        }
        if mode == Mode::Faults {
            plan.faults = faults(rng);
            plan.store.disk_floor_bytes = if rng.chance(1, 2) { 64 << 10 } else { 0 };
        }
        if mode == Mode::Shards && mutation.is_none() && rng.chance(1, 3) {
            // Hardly begun, and started again.
            (plan.lives, plan.actions) = (plan.lives * 2, plan.actions.div_ceil(4));
        }
        if mode == Mode::Churn {
            churn::shape(&mut plan, rng);
        }
        if !matches!(mode, Mode::Shards | Mode::Cores)
            && plan.store.idle_commit_ns.is_multiple_of(3)
        {
            // Without a draw of its own. What the engine appends does not say it.
            plan.store.classes = plan.store.classes.with_replay(Replay::Own);
        }
        if let Some(Mutation::RefusalIsSuccess | Mutation::FullForEver) = mutation {
            plan.store.disk_floor_bytes = 0;
            plan.faults = Faults {
                capacity: Some(1 << 30),
                refusals: 20,
                ..Faults::default()
            };
        }
        plan
    }

    /// How recovery is told to work.
    #[must_use]
    pub fn recovery(&self, cores: usize, salt: u64) -> RecoveryConfig {
        RecoveryConfig {
            cores: u16::try_from(cores).expect("a few"),
            geometry: self.geometry,
            salt,
            segment_threshold: self.segment_threshold,
            segment_bytes: 64 << 10,
            span_bytes: u32::try_from(self.store.span_bytes).expect("a few KiB"),
            cache_bytes: self.recovery_cache,
            floor_bytes: self.store.disk_floor_bytes,
            classes: self.store.classes,
            mutation: self.store.mutation,
        }
    }

    /// Whether the device may refuse operations.
    #[must_use]
    pub fn device_fails(&self) -> bool {
        let faults = &self.faults;
        faults.lack_space()
            || faults.read_errors > 0
            || faults.segment_errors > 0
            || faults.journal_errors > 0
    }
}

fn geometry(rng: &mut Rng) -> Geometry {
    let geometry = Geometry {
        file_bytes: 4096 << rng.between(3, 5),
        files: rng.between(3, 6) as u16,
        max_commit_bytes: 4096 << rng.between(1, 2),
        in_flight: rng.between(1, 4) as u16,
    };
    assert_eq!(geometry.broken_rule(), None, "{geometry:?}");
    geometry
}

fn store(rng: &mut Rng, geometry: &Geometry, mutation: Option<Mutation>) -> StoreConfig {
    let kib = |rng: &mut Rng, low: u64, high: u64| (rng.magnitude(low, high) as usize) << 10;
    let parallel_commit_bytes = kib(rng, 1, 8);
    let bulk_from = kib(rng, 4, 24);
    let mut config = StoreConfig {
        max_commit_bytes: geometry.max_commit_bytes as usize,
        commits_in_flight: usize::from(geometry.in_flight),
        parallel_commit_bytes,
        write_behind_bytes: kib(rng, 4, 32),
        backlog_bytes: kib(rng, 4, 64) as u64,
        segment_write_bytes: 4096 << rng.between(0, 3),
        reserve_bytes: *rng.pick(&[0, 4 << 10, 16 << 10, 64 << 10]),
        turn_copy_bytes: 0,
        segment_writes_in_flight: rng.between(1, 4) as usize,
        flush_jobs: rng.between(1, 6) as usize,
        copy_forward_bytes: kib(rng, 1, 6),
        span_bytes: kib(rng, 1, 6),
        max_entry_bytes: 64 << 10,
        inline_snapshot_bytes: 512,
        classes: Classes::default()
            .with_bulk_from(bulk_from)
            .with_snapshots_from(kib(rng, 2, 8) as u64)
            .with_behind(match rng.chance(1, 4) {
                true => Behind::Asked,
                false => Behind::Eager,
            }),
        tail_cache_bytes: kib(rng, 8, 256),
        span_cache_bytes: kib(rng, 4, 64),
        index_cache_bytes: kib(rng, 4, 64),
        memory_log_bytes: kib(rng, 8, 32),
        read_bytes: kib(rng, 4, 32),
        reads_in_flight_bytes: 16 << 10,
        idle_commit_ns: rng.magnitude(1_000_000, 60_000_000),
        lazy_sync_ns: rng.magnitude(1_000_000, 60_000_000),
        retention_check_ns: 1_000_000_000,
        disk_floor_bytes: 0,
        free_space_check_ns: 100_000_000,
        tidy_ns: 0,
        prefill: rng.chance(3, 4),
        mutation,
    };
    // Without a draw of its own, so that seeds keep their courses.
    let times = [0, 1_000_000, 50_000_000, 1_500_000_000];
    config.tidy_ns = times[(config.idle_commit_ns % 4) as usize];
    let copies = [1, 4 << 10, 16 << 10, 2 << 20];
    config.turn_copy_bytes = copies[(config.lazy_sync_ns % 4) as usize];
    config
}

fn faults(rng: &mut Rng) -> Faults {
    let one_in = |rng: &mut Rng| {
        if rng.chance(1, 2) {
            rng.magnitude(20, 400)
        } else {
            0
        }
    };
    Faults {
        capacity: rng.chance(1, 2).then(|| rng.between(3 << 20, 6 << 20)),
        refusals: one_in(rng),
        segment_errors: one_in(rng),
        read_errors: one_in(rng),
        journal_errors: one_in(rng) * 10,
    }
}

impl LogPlan {
    /// Draws one log's use.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let kind = if rng.chance(1, 6) {
            LogKind::Machine
        } else {
            LogKind::Topic
        };
        let level = match (kind, rng.below(10)) {
            (LogKind::Topic, 0) => Level::Memory,
            (_, 1) => Level::Written,
            _ => Level::Synced,
        };
        let (sizes, burst) = match (kind, rng.below(4)) {
            (LogKind::Machine, _) => ((64, 600), 4),
            (_, 0) => ((64, 400), 3),
            (_, 1) => ((64, 4_000), 12),
            (_, 2) => ((500, 12_000), 8),
            _ => ((64, 40_000), 6),
        };
        let sometimes = |rng: &mut Rng, one_in: u64, value: u64| {
            (kind == LogKind::Topic && rng.chance(1, one_in)).then_some(value)
        };
        Self {
            kind,
            settings: LogSettings {
                level,
                retention_bytes: sometimes(rng, 4, 40 << 10),
                retention_ms: sometimes(rng, 6, 3_000),
                segment_bytes: rng.magnitude(16, 200) << 10,
                segment_ms: rng.magnitude(200, 100_000),
            },
            sizes,
            burst,
            weaker: if rng.chance(1, 4) { 3 } else { 0 },
            snapshot: rng.magnitude(16, 16_000),
        }
    }
}
