//! What is gathered for a native request, in the order of the request.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_engine::EngineError;
use leveret_engine::shard::{FetchedPartition, Reply};
use leveret_engine::topology::Topic;
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now};
use leveret_wire::native::{CorrelationId, ErrorCode, PartitionId};

use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::gather::Progress;
use crate::core::hop::Answer;
use crate::core::status::{CoreReport, PartitionReport};

/// A native request that several cores answer.
pub(in crate::core) struct NativeGathering {
    pub(super) correlation: CorrelationId,
    pub(super) what: Gathered,
}

/// What of the answer is there.
pub(super) enum Gathered {
    /// Records, in the order of the request.
    Fetch(Vec<FetchedPart>),
    /// Where the partitions of these topics stand.
    Describe {
        topics: Vec<Arc<Topic>>,
        with_config: bool,
        reports: BTreeMap<LogId, PartitionReport>,
    },
    /// How each core is.
    Status(Vec<CoreReport>),
}

/// One partition of a fetch.
#[derive(Default)]
pub(super) struct FetchedPart {
    pub(super) partition: PartitionId,
    /// Why there is nothing to fetch, if so.
    pub(super) error: Option<ErrorCode>,
    pub(super) fetched: Option<FetchedPartition>,
}

impl NativeGathering {
    pub(in crate::core) fn is_fetch(&self) -> bool {
        matches!(self.what, Gathered::Fetch(_))
    }

    /// Partitions of a fetch.
    pub(in crate::core) fn partitions(&self) -> usize {
        match &self.what {
            Gathered::Fetch(parts) => parts.len(),
            Gathered::Describe { .. } | Gathered::Status(_) => 0,
        }
    }

    /// Bytes of batches that are there.
    pub(in crate::core) fn read(&self) -> usize {
        let Gathered::Fetch(parts) = &self.what else {
            return 0;
        };
        let fetched = parts.iter().filter_map(|part| part.fetched.as_ref());
        fetched.map(FetchedPartition::read).sum()
    }

    /// One partition of a fetch is there; once more if it was only counted before.
    pub(in crate::core) fn fetched(&mut self, line: usize, one: FetchedPartition) {
        let Gathered::Fetch(parts) = &mut self.what else {
            unreachable!("only fetches fetch")
        };
        parts[line].fetched = Some(one);
    }

    /// One core's part is there.
    pub(in crate::core) fn take(&mut self, answer: Answer) -> Progress {
        match (&mut self.what, answer) {
            (Gathered::Fetch(_), Answer::Engine(Reply::Failed(error))) => Progress::Failed(error),
            (Gathered::Describe { reports, .. }, Answer::Described(described)) => {
                reports.extend(described.into_iter().map(|report| (report.log, report)));
                Progress::GoOn
            }
            (Gathered::Status(reports), Answer::Status(report)) => {
                reports.push(*report);
                Progress::GoOn
            }
            (_, answer) => unreachable!("no part of this request: {answer:?}"),
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Answers the client: no part is missing.
    pub(in crate::core) fn native_gathered(
        &mut self,
        conn: ConnId,
        gathering: NativeGathering,
        now: Now,
    ) {
        let correlation = gathering.correlation;
        match gathering.what {
            Gathered::Fetch(parts) => self.respond_fetched(conn, correlation, parts),
            Gathered::Describe {
                topics,
                with_config,
                reports,
            } => {
                self.respond_described(conn, correlation, &topics, with_config, &reports);
            }
            Gathered::Status(reports) => self.respond_status(conn, correlation, reports, now),
        }
    }

    /// Answers the client: a part failed, and with it the request.
    pub(in crate::core) fn native_gather_failed(
        &mut self,
        conn: ConnId,
        gathering: &NativeGathering,
        error: &EngineError,
    ) {
        self.respond_engine_error(conn, gathering.correlation, error);
    }
}
