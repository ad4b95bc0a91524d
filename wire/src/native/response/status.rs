//! How the broker is, core by core.

use flatbuffers::FlatBufferBuilder;

use super::super::Kind;
use super::super::generated::leveret::native as fb;
use super::super::table::{DecodeError, level, offset, raw_level, root};
use super::super::types::{Level, Offset, PartitionId};

/// How the broker is.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusOk<'a> {
    /// The broker's version.
    pub version: &'a str,
    /// Milliseconds since it was ready.
    pub uptime_ms: u64,
    /// Its data directory.
    pub data_dir: &'a str,
    /// The strongest level that the file system of that directory can truly give.
    pub true_level: Level,
    /// How many topics there are.
    pub topics: u32,
    /// How many partitions they have together.
    pub partitions: u32,
    /// Its cores, by number.
    pub cores: Vec<CoreStatus>,
    /// Logs that stopped after a storage error, so many of a core as the broker likes to name.
    pub stopped_logs: Vec<StoppedLog<'a>>,
    /// Cores that take no records for want of disk space; the others have room.
    pub short_disks: Vec<ShortDisk<'a>>,
    /// Logs of which stored bytes could not be read, so many of a core as the broker likes to name.
    pub damaged_logs: Vec<DamagedLog<'a>>,
}

/// One core: totals since the start, and rates as means over its last few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoreStatus {
    /// Its number.
    pub core: u16,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// Connections that are open.
    pub connections: u32,
    /// Partitions that it owns.
    pub partitions: u32,
    /// Bytes taken from its memory budget.
    pub memory_used: u64,
    /// Its memory budget in bytes.
    pub memory_budget: u64,
    /// Bytes of its journal that are still needed.
    pub journal_used: u64,
    /// Bytes of its journal.
    pub journal_size: u64,
    /// Record batches appended.
    pub batches_in: u64,
    /// Records appended.
    pub records_in: u64,
    /// Bytes of record batches appended.
    pub bytes_in: u64,
    /// Bytes of record batches sent to consumers.
    pub bytes_out: u64,
    /// Records appended per second.
    pub records_in_per_second: f64,
    /// Bytes appended per second.
    pub bytes_in_per_second: f64,
    /// Bytes sent to consumers per second.
    pub bytes_out_per_second: f64,
    /// The most CPU time that one turn of its loop took, microseconds; 0 if none took a millisecond.
    pub longest_turn_us: u64,
}

/// A log that takes nothing until the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoppedLog<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: PartitionId,
    /// Core that owns it.
    pub core: u16,
    /// What happened.
    pub reason: &'a str,
}

/// A log of which stored bytes could not be read, or were not those that were written. Readers are
/// refused these; the rest of it is served, and it takes more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedLog<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: PartitionId,
    /// Core that owns it.
    pub core: u16,
    /// Where the read began that met them last.
    pub offset: Offset,
    /// Reads that met such bytes since the broker started.
    pub reads: u64,
    /// The file, the place in it, and what does not fit.
    pub reason: &'a str,
}

/// A core that takes no records for want of space on its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortDisk<'a> {
    /// Which core.
    pub core: u16,
    /// What is short.
    pub shortage: Shortage,
    /// What was refused, or how little is free.
    pub reason: &'a str,
}

/// How a file system is short of space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Less is free than the broker leaves to others.
    AtFloor,
    /// It has refused something itself.
    Full,
}

impl<'a> StatusOk<'a> {
    pub(super) fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::StatusOk<'_>>(Kind::StatusOk, header)?;
        let stopped_logs = table.stopped_logs().iter().map(|log| StoppedLog {
            topic: log.topic(),
            partition: PartitionId(log.partition()),
            core: log.core(),
            reason: log.reason(),
        });
        let damaged_logs = table.damaged_logs().into_iter().flatten().map(|log| {
            Ok(DamagedLog {
                topic: log.topic(),
                partition: PartitionId(log.partition()),
                core: log.core(),
                offset: offset(Kind::StatusOk, "offset", log.offset())?,
                reads: log.reads(),
                reason: log.reason(),
            })
        });
        let short_disks = table.short_disks().into_iter().flatten();
        Ok(Self {
            version: table.version(),
            uptime_ms: table.uptime_ms(),
            data_dir: table.data_dir(),
            true_level: level(Kind::StatusOk, table.true_level())?,
            topics: table.topics(),
            partitions: table.partitions(),
            cores: table.cores().iter().map(read_core).collect(),
            stopped_logs: stopped_logs.collect(),
            short_disks: short_disks.map(read_disk).collect(),
            damaged_logs: damaged_logs.collect::<Result<_, DecodeError>>()?,
        })
    }

    pub(super) fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let cores: Vec<_> = self
            .cores
            .iter()
            .map(|core| fb::CoreStatus::create(fbb, &core_args(core)))
            .collect();
        let stopped_logs: Vec<_> = self
            .stopped_logs
            .iter()
            .map(|log| {
                let args = fb::StoppedLogArgs {
                    topic: Some(fbb.create_string(log.topic)),
                    partition: log.partition.0,
                    core: log.core,
                    reason: Some(fbb.create_string(log.reason)),
                };
                fb::StoppedLog::create(fbb, &args)
            })
            .collect();
        let short_disks: Vec<_> = self
            .short_disks
            .iter()
            .map(|disk| {
                let args = fb::ShortDiskArgs {
                    core: disk.core,
                    full: disk.shortage == Shortage::Full,
                    reason: Some(fbb.create_string(disk.reason)),
                };
                fb::ShortDisk::create(fbb, &args)
            })
            .collect();
        let damaged_logs: Vec<_> = self
            .damaged_logs
            .iter()
            .map(|log| {
                let args = fb::DamagedLogArgs {
                    topic: Some(fbb.create_string(log.topic)),
                    partition: log.partition.0,
                    core: log.core,
                    offset: log.offset.0,
                    reads: log.reads,
                    reason: Some(fbb.create_string(log.reason)),
                };
                fb::DamagedLog::create(fbb, &args)
            })
            .collect();
        let args = fb::StatusOkArgs {
            version: Some(fbb.create_string(self.version)),
            uptime_ms: self.uptime_ms,
            data_dir: Some(fbb.create_string(self.data_dir)),
            true_level: raw_level(Some(self.true_level)),
            topics: self.topics,
            partitions: self.partitions,
            cores: Some(fbb.create_vector(&cores)),
            stopped_logs: Some(fbb.create_vector(&stopped_logs)),
            short_disks: Some(fbb.create_vector(&short_disks)),
            damaged_logs: Some(fbb.create_vector(&damaged_logs)),
        };
        let root = fb::StatusOk::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

fn read_disk(table: fb::ShortDisk<'_>) -> ShortDisk<'_> {
    ShortDisk {
        core: table.core(),
        shortage: match table.full() {
            true => Shortage::Full,
            false => Shortage::AtFloor,
        },
        reason: table.reason(),
    }
}

fn read_core(table: fb::CoreStatus<'_>) -> CoreStatus {
    CoreStatus {
        core: table.core(),
        cpu: table.cpu(),
        connections: table.connections(),
        partitions: table.partitions(),
        memory_used: table.memory_used(),
        memory_budget: table.memory_budget(),
        journal_used: table.journal_used(),
        journal_size: table.journal_size(),
        batches_in: table.batches_in(),
        records_in: table.records_in(),
        bytes_in: table.bytes_in(),
        bytes_out: table.bytes_out(),
        records_in_per_second: table.records_in_per_second(),
        bytes_in_per_second: table.bytes_in_per_second(),
        bytes_out_per_second: table.bytes_out_per_second(),
        longest_turn_us: table.longest_turn_us(),
    }
}

fn core_args(core: &CoreStatus) -> fb::CoreStatusArgs {
    fb::CoreStatusArgs {
        core: core.core,
        cpu: core.cpu,
        connections: core.connections,
        partitions: core.partitions,
        memory_used: core.memory_used,
        memory_budget: core.memory_budget,
        journal_used: core.journal_used,
        journal_size: core.journal_size,
        batches_in: core.batches_in,
        records_in: core.records_in,
        bytes_in: core.bytes_in,
        bytes_out: core.bytes_out,
        records_in_per_second: core.records_in_per_second,
        bytes_in_per_second: core.bytes_in_per_second,
        bytes_out_per_second: core.bytes_out_per_second,
        longest_turn_us: core.longest_turn_us,
    }
}
