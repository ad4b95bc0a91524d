//! What is gathered for a Kafka request: each API's own, and who asked.

use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Mono, Now};

use super::changes::Changing;
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
    Fetch(Box<Fetching>),
    ListOffsets(Box<Listing>),
    Metadata(Box<Describing>),
    DescribeConfigs(Box<Configs>),
    DeleteTopics(Box<Deleting>),
    Changing(Box<Changing>),
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
            // Their answers are complete piece by piece, or as long as their requests are.
            Gathered::Produce(_)
            | Gathered::Metadata(_)
            | Gathered::ListOffsets(_)
            | Gathered::DeleteTopics(_)
            | Gathered::Changing(_)
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
            (Gathered::Fetch(what), Some(spread)) => what.look_up(spread, known),
            (Gathered::DescribeConfigs(what), _) => what.look_up(known),
            (Gathered::Metadata(what), _) => what.look_up(known),
            (Gathered::DeleteTopics(what), _) => what.look_up(known),
            (Gathered::ListOffsets(what), _) => what.look_up(known),
            (Gathered::Changing(what), _) => what.look_up(known),
            _ => None,
        }
    }

    /// All that the request names was looked up: what is to be asked of whom.
    pub(in crate::core) fn calls(&mut self, settings: &KafkaSettings) -> Vec<(CoreId, Call)> {
        let changes = match &mut self.what {
            Gathered::ListOffsets(what) => return what.calls(),
            Gathered::Metadata(what) => what.calls(settings),
            Gathered::DeleteTopics(what) => what.calls(),
            Gathered::Changing(what) => what.calls(),
            _ => return Vec::new(),
        };
        let changes = changes.into_iter();
        changes.map(|call| (CoreId(0), call)).collect()
    }

    /// All that was asked for is there: whether its lines are to be looked up before the answer.
    pub(in crate::core) fn begins_answer(&mut self) -> bool {
        match &mut self.what {
            Gathered::Metadata(what) => what.begins_answer(),
            Gathered::DeleteTopics(what) => what.begins_answer(),
            Gathered::ListOffsets(what) => what.begins_answer(),
            Gathered::Changing(what) => what.begins_answer(),
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
            Gathered::Changing(what) => what.take(part, reply),
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
            Gathered::DeleteTopics(_) | Gathered::Changing(_) => true,
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
            Gathered::Fetch(what) => self.kafka_fetched(asker, *what),
            Gathered::ListOffsets(what) => self.kafka_listed(asker, *what),
            Gathered::Metadata(what) => self.kafka_described(asker, *what),
            Gathered::DescribeConfigs(what) => self.kafka_configs_described(asker, *what),
            Gathered::DeleteTopics(what) => self.kafka_deleted(asker, *what),
            Gathered::Changing(what) => self.kafka_changed(asker, *what),
            Gathered::InitProducerId(what) => self.kafka_inited(asker, what),
        }
        if blocks {
            self.unblock(conn, Blocked::Topology, now);
        }
    }
}
