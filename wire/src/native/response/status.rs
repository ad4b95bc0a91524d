//! How the broker is, core by core.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

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
    pub cores: Vec<CoreStatus<'a>>,
    /// Logs that stopped after a storage error, so many of a core as the broker likes to name.
    pub stopped_logs: Vec<StoppedLog<'a>>,
    /// Cores that take no records for want of disk space; the others have room.
    pub short_disks: Vec<ShortDisk<'a>>,
    /// Logs of which stored bytes could not be read, so many of a core as the broker likes to name.
    pub damaged_logs: Vec<DamagedLog<'a>>,
}

/// One core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreStatus<'a> {
    /// Its number.
    pub core: u16,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// What it counts, each once, in the broker's order.
    pub figures: Vec<CoreFigure<'a>>,
}

/// A figure of a core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoreFigure<'a> {
    /// The key that it has in the broker's JSON.
    pub key: &'a str,
    /// What it is now.
    pub value: FigureValue,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FigureValue {
    /// A total since the broker started, or how much there is now, in the unit that the key names.
    Count(u64),
    /// A mean per second over the core's last few seconds.
    Rate(f64),
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
            .map(|core| build_core(fbb, core))
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

fn read_core(table: fb::CoreStatus<'_>) -> CoreStatus<'_> {
    let figures = table.figures().into_iter().flatten();
    CoreStatus {
        core: table.core(),
        cpu: table.cpu(),
        figures: figures.map(read_figure).collect(),
    }
}

fn read_figure(table: fb::Figure<'_>) -> CoreFigure<'_> {
    let count = FigureValue::Count(table.count());
    CoreFigure {
        key: table.key(),
        value: table.rate().map_or(count, FigureValue::Rate),
    }
}

fn build_core<'f>(
    fbb: &mut FlatBufferBuilder<'f>,
    core: &CoreStatus<'_>,
) -> WIPOffset<fb::CoreStatus<'f>> {
    let figures: Vec<_> = core
        .figures
        .iter()
        .map(|figure| {
            let (count, rate) = match figure.value {
                FigureValue::Count(count) => (count, None),
                FigureValue::Rate(rate) => (0, Some(rate)),
            };
            let key = Some(fbb.create_string(figure.key));
            fb::Figure::create(fbb, &fb::FigureArgs { key, count, rate })
        })
        .collect();
    let args = fb::CoreStatusArgs {
        core: core.core,
        cpu: core.cpu,
        figures: Some(fbb.create_vector(&figures)),
    };
    fb::CoreStatus::create(fbb, &args)
}
