//! What is gathered for a native request, in the order of the request.

use leveret_engine::EngineError;
use leveret_engine::shard::{FetchedPartition, Reply};
use leveret_engine::topology::Topology;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::native::{CorrelationId, ErrorCode, PartitionId};

use super::listing::Listing;
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::gather::Progress;
use crate::core::hop::{Answer, Call};
use crate::core::status::CoreReport;

/// A native request that several cores answer.
pub(in crate::core) struct NativeGathering {
    pub(super) correlation: CorrelationId,
    pub(super) what: Gathered,
}

/// What of the answer is there.
pub(super) enum Gathered {
    /// Records, in the order of the request.
    Fetch(Vec<FetchedPart>),
    /// Topics, and where their partitions stand.
    Topics(Box<Listing>),
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
            Gathered::Topics(_) | Gathered::Status(_) => 0,
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

    /// Looks up the next of what the request is about. What that cost, in the units of slices; `None` if
    /// there is none.
    pub(in crate::core) fn look_up(&mut self, topology: &Topology) -> Option<usize> {
        match &mut self.what {
            Gathered::Topics(listing) => listing.look_up(topology),
            Gathered::Fetch(_) | Gathered::Status(_) => None,
        }
    }

    /// All was looked up: what is to be asked of whom.
    pub(in crate::core) fn calls(&mut self) -> Vec<(CoreId, Call)> {
        match &mut self.what {
            Gathered::Topics(listing) => listing.calls(),
            Gathered::Fetch(_) | Gathered::Status(_) => Vec::new(),
        }
    }

    /// All that was asked for is there: whether lines are to be made of it before the answer.
    pub(in crate::core) fn begins_answer(&mut self) -> bool {
        match &mut self.what {
            Gathered::Topics(listing) => listing.begins_answer(),
            Gathered::Fetch(_) | Gathered::Status(_) => false,
        }
    }

    /// One core's part is there.
    pub(in crate::core) fn take(&mut self, answer: Answer) -> Progress {
        match (&mut self.what, answer) {
            (Gathered::Fetch(_), Answer::Engine(Reply::Failed(error))) => Progress::Failed(error),
            (Gathered::Topics(listing), Answer::Described(described)) => {
                listing.take(described);
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
            Gathered::Topics(listing) => {
                self.respond_lines(conn, correlation, listing.into_lines());
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
