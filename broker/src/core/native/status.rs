//! Status: how the broker is, from all cores.

use leveret_storage::io::BufPool;
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::native::{
    CoreFigure, CoreStatus, DamagedLog, FigureValue, Offset, PartitionId, Response, ShortDisk,
    Shortage, StatusOk, StoppedLog,
};

use super::{Asker, level_out};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::figures::Reading;
use crate::core::hop::ReportStatus;
use crate::core::ops::{Known, Operation, Resource};
use crate::core::status::CoreReport;

/// A request for the status of all cores.
struct Reporting {
    asker: Asker,
    cores: u16,
    reports: Vec<CoreReport>,
}

impl<P: BufPool> Job<P, ReportStatus> for Reporting {
    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, ReportStatus)> {
        let cores = (0..std::mem::take(&mut self.cores)).map(CoreId);
        cores.map(|core| (core, ReportStatus)).collect()
    }

    fn take(&mut self, _part: usize, report: Box<CoreReport>) {
        self.reports.push(*report);
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, now: Now) {
        core.respond_status(self.asker, self.reports, now);
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn ask_status(&mut self, asker: Asker, now: Now) {
        let known = self.known(asker.conn, now);
        if let Err(refused) = known.authorize(Operation::Describe, Resource::Cluster) {
            return self.refuse_not_allowed(asker, &refused, now);
        }
        let reporting = Reporting {
            asker,
            cores: self.cores,
            reports: Vec::new(),
        };
        self.carry_out(asker.into(), (), Box::new(reporting), now);
    }

    fn respond_status(&mut self, asker: Asker, mut reports: Vec<CoreReport>, now: Now) {
        reports.sort_by_key(|report| report.core);
        let stopped_logs = reports.iter().flat_map(|report| {
            report.stopped.iter().map(|log| StoppedLog {
                topic: &log.place.0,
                partition: PartitionId(log.place.1),
                core: report.core.0,
                reason: &log.reason,
            })
        });
        let damaged_logs = reports.iter().flat_map(|report| {
            report.damaged.iter().map(|log| DamagedLog {
                topic: &log.place.0,
                partition: PartitionId(log.place.1),
                core: report.core.0,
                offset: Offset(log.offset.0),
                reads: log.reads,
                reason: &log.reason,
            })
        });
        let data_dir = self.settings.data_dir.clone();
        let response = Response::Status(StatusOk {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: now.mono.since(self.started) / 1_000_000,
            data_dir: &data_dir,
            true_level: level_out(self.settings.true_level),
            topics: u32::try_from(self.topology.topics().len()).expect("topics are bounded"),
            partitions: self.topology.partitions(),
            cores: reports.iter().map(core_status).collect(),
            stopped_logs: stopped_logs.collect(),
            short_disks: reports.iter().filter_map(short_disk).collect(),
            damaged_logs: damaged_logs.collect(),
        });
        self.respond(asker.conn, asker.correlation, &response);
    }
}

fn short_disk(report: &CoreReport) -> Option<ShortDisk<'_>> {
    let shortage = match report.disk {
        DiskSpace::HasRoom => return None,
        DiskSpace::AtFloor => Shortage::AtFloor,
        DiskSpace::Full => Shortage::Full,
    };
    Some(ShortDisk {
        core: report.core.0,
        shortage,
        reason: report.disk_shortage.as_deref().unwrap_or_default(),
    })
}

fn core_status(report: &CoreReport) -> CoreStatus<'_> {
    let figures = report.keyed().filter_map(|(key, reading)| {
        let value = match reading {
            Reading::Count(count) => FigureValue::Count(*count),
            Reading::Rate(rate) => FigureValue::Rate(*rate),
            Reading::Spread(_) => return None,
        };
        Some(CoreFigure { key, value })
    });
    CoreStatus {
        core: report.core.0,
        cpu: report.cpu,
        figures: figures.collect(),
    }
}
