//! Status: how the broker is, from all cores.

use leveret_storage::io::BufPool;
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::native::{
    CoreFigure, CoreStatus, CorrelationId, DamagedLog, FigureValue, Offset, PartitionId, Response,
    ShortDisk, Shortage, StatusOk, StoppedLog,
};

use super::gathered::Gathered;
use super::{Asker, level_out};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::figures::Reading;
use crate::core::hop::Call;
use crate::core::status::CoreReport;

impl<P: BufPool> Core<P> {
    pub(super) fn ask_status(&mut self, asker: Asker, now: Now) {
        let gather = self.gather_native(asker, Gathered::Status(Vec::new()));
        for core in (0..self.cores).map(CoreId) {
            self.ask_part(gather, core, Call::Status, now);
        }
        self.all_asked(gather, now);
    }

    pub(super) fn respond_status(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        mut reports: Vec<CoreReport>,
        now: Now,
    ) {
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
        self.respond(conn, correlation, &response);
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
