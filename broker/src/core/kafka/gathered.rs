//! What is gathered for a Kafka request: each API's own, and who asked.

use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::changes::Changes;
use super::delete_topics::Deleting;
use super::describe_configs::Configs;
use super::fetch::Fetching;
use super::init_producer_id::Initing;
use super::list_offsets::Listing;
use super::metadata::Describing;
use super::produce::Producing;
use super::{Asker, KafkaSettings, Known};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::gather::{Gathering, Progress};
use crate::core::hop::{Answer, Call};
use crate::core::session::Blocked;
use crate::core::spread::Spread;

/// A Kafka request that waits for one or more answers.
pub(in crate::core) struct KafkaGathering {
    asker: Asker,
    what: Gathered,
}

/// What of the answer is there.
pub(super) enum Gathered {
    Produce(Producing),
    Fetch(Fetching),
    ListOffsets(Listing),
    Metadata(Box<Describing>),
    DescribeConfigs(Configs),
    CreateTopics(Changes),
    DeleteTopics(Box<Deleting>),
    CreatePartitions(Changes),
    AlterConfigs(Changes),
    IncrementalAlterConfigs(Changes),
    InitProducerId(Initing),
}

impl KafkaGathering {
    pub(in crate::core) fn is_fetch(&self) -> bool {
        matches!(self.what, Gathered::Fetch(_))
    }

    /// Partitions of a fetch.
    pub(in crate::core) fn partitions(&self) -> usize {
        match &self.what {
            Gathered::Fetch(what) => what.partitions(),
            _ => 0,
        }
    }

    /// About how many lines its answer has.
    pub(in crate::core) fn lines(&self) -> usize {
        match &self.what {
            Gathered::Fetch(what) => what.partitions(),
            Gathered::ListOffsets(what) => what.lines(),
            Gathered::CreateTopics(what)
            | Gathered::CreatePartitions(what)
            | Gathered::AlterConfigs(what)
            | Gathered::IncrementalAlterConfigs(what) => what.lines.len(),
            // Their answers are complete piece by piece, or as long as their requests are.
            Gathered::Produce(_)
            | Gathered::Metadata(_)
            | Gathered::DeleteTopics(_)
            | Gathered::DescribeConfigs(_)
            | Gathered::InitProducerId(_) => 0,
        }
    }

    /// Bytes of batches that are there.
    pub(in crate::core) fn read(&self) -> usize {
        match &self.what {
            Gathered::Fetch(what) => what.read(),
            _ => 0,
        }
    }

    /// Looks up the next of what the request names; a fetch wants it of `spread`. What that cost, in
    /// the units of slices; `None` if there is none.
    pub(in crate::core) fn look_up(
        &mut self,
        spread: Option<&mut Spread>,
        known: &Known<'_>,
    ) -> Option<usize> {
        match (&mut self.what, spread) {
            (Gathered::Fetch(what), Some(spread)) => what.look_up(spread),
            (Gathered::DescribeConfigs(what), _) => what.look_up(known),
            (Gathered::Metadata(what), _) => what.look_up(known),
            (Gathered::DeleteTopics(what), _) => what.look_up(known),
            _ => None,
        }
    }

    /// All that the request names was looked up: what core 0 is asked for.
    pub(in crate::core) fn calls(&mut self, settings: &KafkaSettings) -> Vec<Call> {
        match &mut self.what {
            Gathered::Metadata(what) => what.calls(settings),
            Gathered::DeleteTopics(what) => what.calls(),
            _ => Vec::new(),
        }
    }

    /// All that was asked for is there: whether its lines are to be looked up before the answer.
    pub(in crate::core) fn begins_answer(&mut self) -> bool {
        match &mut self.what {
            Gathered::Metadata(what) => what.begins_answer(),
            Gathered::DeleteTopics(what) => what.begins_answer(),
            _ => false,
        }
    }

    /// One partition of a fetch is there; once more if it was only counted before.
    pub(in crate::core) fn fetched(&mut self, line: usize, one: FetchedPartition) {
        match &mut self.what {
            Gathered::Fetch(what) => what.fetched(line, one),
            _ => unreachable!("only fetches fetch"),
        }
    }

    /// A part is there.
    pub(in crate::core) fn take(&mut self, part: usize, answer: Answer) -> Progress {
        let reply = match answer {
            Answer::Engine(reply) => reply,
            answer => unreachable!("no part of this request: {answer:?}"),
        };
        match &mut self.what {
            Gathered::Fetch(_) | Gathered::DescribeConfigs(_) => {
                unreachable!("no part of it: {reply:?}")
            }
            Gathered::Produce(what) => what.take(part, reply),
            Gathered::ListOffsets(what) => what.take(part, reply),
            Gathered::Metadata(what) => what.take(part, reply),
            Gathered::DeleteTopics(what) => what.take(part, reply),
            Gathered::CreateTopics(what)
            | Gathered::CreatePartitions(what)
            | Gathered::AlterConfigs(what)
            | Gathered::IncrementalAlterConfigs(what) => what.take(part, reply),
            Gathered::InitProducerId(what) => what.take(reply),
        }
        Progress::GoOn
    }

    fn changes_topology(&self) -> bool {
        match &self.what {
            Gathered::Metadata(what) => what.creates(),
            Gathered::Produce(_)
            | Gathered::Fetch(_)
            | Gathered::ListOffsets(_)
            | Gathered::DescribeConfigs(_)
            | Gathered::InitProducerId(_) => false,
            Gathered::CreateTopics(_)
            | Gathered::DeleteTopics(_)
            | Gathered::CreatePartitions(_)
            | Gathered::AlterConfigs(_)
            | Gathered::IncrementalAlterConfigs(_) => true,
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Begins to gather. Later requests of the connection wait for changes of the topology, which
    /// they must see, and for nothing else.
    pub(super) fn kafka_gather(
        &mut self,
        asker: Asker,
        deadline: Option<Mono>,
        what: Gathered,
    ) -> usize {
        let gathering = KafkaGathering { asker, what };
        let blocks = gathering.changes_topology();
        let what = Gathering::Kafka(gathering);
        let gather = self.gather(asker.conn, asker.permit, deadline, what);
        if blocks {
            self.block(asker.conn, Blocked::Topology);
        }
        gather
    }

    /// Answers the client with what is there.
    pub(in crate::core) fn kafka_gathered(
        &mut self,
        conn: ConnId,
        gathering: KafkaGathering,
        now: Now,
    ) {
        let blocks = gathering.changes_topology();
        let asker = gathering.asker;
        match gathering.what {
            Gathered::Produce(what) => self.kafka_produced(asker, &what),
            Gathered::Fetch(what) => self.kafka_fetched(asker, what),
            Gathered::ListOffsets(what) => self.kafka_listed(asker, &what),
            Gathered::Metadata(what) => self.kafka_described(asker, *what),
            Gathered::DescribeConfigs(what) => self.kafka_configs_described(asker, what),
            Gathered::CreateTopics(what) => self.kafka_created(asker, &what),
            Gathered::DeleteTopics(what) => self.kafka_deleted(asker, *what),
            Gathered::CreatePartitions(what) => self.kafka_partitioned(asker, &what),
            Gathered::AlterConfigs(what) => self.kafka_altered(asker, &what),
            Gathered::IncrementalAlterConfigs(what) => {
                self.kafka_incrementally_altered(asker, &what);
            }
            Gathered::InitProducerId(what) => self.kafka_inited(asker, what),
        }
        if blocks {
            self.unblock(conn, Blocked::Topology, now);
        }
    }
}
