//! The seam between the load and what carries it: a topic to append to and to read from, over one
//! protocol or another.
//!
//! Everything above this module measures; nothing above it knows which protocol it is. A record
//! batch is the same bytes in both.

mod kafka;
mod native;

use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use leveret_client::{Level, Offset, PartitionId};

use crate::failure::Failure;

/// How long the broker may take to answer any request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What the broker is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Leveret's own
    Native,
    /// Apache Kafka's, of Leveret or of any other broker
    Kafka,
}

impl Protocol {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Kafka => "kafka",
        }
    }

    /// The word of Leveret's ready line that has its address.
    pub(crate) fn ready_word(self) -> &'static str {
        match self {
            Self::Native => "native=",
            Self::Kafka => "kafka=",
        }
    }

    /// Most partitions that one [`Feed`] reads. Kafka answers the requests of a connection strictly
    /// one after another, so that a fetch that waits for records keeps all later ones waiting:
    /// one has to ask for all.
    pub(crate) fn feed_partitions(self) -> usize {
        match self {
            Self::Native => native::FEED_PARTITIONS,
            Self::Kafka => usize::MAX,
        }
    }
}

/// The topic of a run.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Partitions, if it is created.
    pub(crate) partitions: u16,
    /// Whether it may be there already.
    pub(crate) may_exist: bool,
    /// What acknowledgements shall promise; what the broker does by itself if `None`.
    pub(crate) level: Option<Level>,
    /// Further configuration, for protocols that have any.
    pub(crate) config: Vec<(String, String)>,
}

/// What a connection of the load is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Bytes of the batches that it has in flight.
    pub(crate) in_flight_bytes: usize,
    /// Any core of the broker may serve it, not only the one that owns its partitions.
    pub(crate) any_core: bool,
}

/// Where to go on reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) partition: PartitionId,
    pub(crate) from: Offset,
}

/// How much a fetch or a push may bring, and how long it may wait for anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchLimits {
    /// Bytes, of all partitions together; a first batch that is longer comes nevertheless.
    pub(crate) bytes: u32,
    /// How long the broker may wait for them, milliseconds.
    pub(crate) wait_ms: u32,
}

/// A broker with the run's topic on it.
pub(crate) enum Session {
    Native(native::Session),
    Kafka(kafka::Session),
}

/// A connection of its own, pipelined.
pub(crate) enum Connection {
    Native(native::Connection),
    Kafka(kafka::Connection),
}

impl Session {
    /// Connects, and creates the topic unless it may exist and does.
    ///
    /// # Errors
    /// What kept it from that.
    pub(crate) async fn open(
        protocol: Protocol,
        address: &str,
        topic: Topic,
        how: How,
    ) -> Result<Self, Failure> {
        Ok(match protocol {
            Protocol::Native => Self::Native(native::Session::open(address, topic, how).await?),
            Protocol::Kafka => Self::Kafka(kafka::Session::open(address, topic).await?),
        })
    }

    /// Partitions of the topic.
    pub(crate) fn partitions(&self) -> u16 {
        match self {
            Self::Native(session) => session.partitions,
            Self::Kafka(session) => session.partitions,
        }
    }

    /// Whether the topic was not there before.
    pub(crate) fn created(&self) -> bool {
        match self {
            Self::Native(session) => session.created,
            Self::Kafka(session) => session.created,
        }
    }

    /// How many of the broker's cores serve the connections so far; `None` if it does not say.
    pub(crate) fn cores_used(&self) -> Option<usize> {
        match self {
            Self::Native(session) => Some(session.cores_used()),
            Self::Kafka(_) => None,
        }
    }

    /// One more connection, for the load on these partitions.
    ///
    /// # Errors
    /// If the broker takes none.
    pub(crate) async fn connect(
        &self,
        partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<Connection, Failure> {
        Ok(match self {
            Self::Native(session) => Connection::Native(session.connect(partitions).await?),
            Self::Kafka(session) => Connection::Kafka(session.connect().await?),
        })
    }

    /// The offset that a partition's next record will get, as far as readers may know.
    ///
    /// # Errors
    /// If the broker does not say.
    pub(crate) async fn end(&self, partition: PartitionId) -> Result<Offset, Failure> {
        match self {
            Self::Native(session) => session.end(partition).await,
            Self::Kafka(session) => session.end(partition).await,
        }
    }

    /// Removes the topic with all it holds.
    ///
    /// # Errors
    /// If the broker refuses.
    pub(crate) async fn delete_topic(&self) -> Result<(), Failure> {
        match self {
            Self::Native(session) => session.delete_topic().await,
            Self::Kafka(session) => session.delete_topic().await,
        }
    }
}

impl Connection {
    /// Sends one batch and waits for its acknowledgement. Batches leave in the order in which these
    /// calls are first polled.
    ///
    /// # Errors
    /// Why the batch, or the connection, failed.
    pub(crate) async fn produce(
        &self,
        partition: PartitionId,
        batch: Bytes,
    ) -> Result<(), Failure> {
        match self {
            Self::Native(connection) => connection.produce(partition, batch).await,
            Self::Kafka(connection) => connection.produce(partition, batch).await,
        }
    }

    /// Begins to read these partitions: a subscription where the protocol has such a thing.
    ///
    /// # Errors
    /// What the broker says, or why the connection failed.
    pub(crate) async fn feed(
        &self,
        wanted: &[Wanted],
        limits: FetchLimits,
    ) -> Result<Feed<'_>, Failure> {
        match self {
            Self::Native(connection) => connection.feed(wanted, limits).await.map(Feed::Native),
            Self::Kafka(connection) => Ok(Feed::Kafka(connection, limits)),
        }
    }
}

/// A reading of some partitions that is under way.
pub(crate) enum Feed<'a> {
    Native(native::Feed),
    Kafka(&'a kafka::Connection, FetchLimits),
}

impl Feed<'_> {
    /// Waits for batches: whole ones, back to back, the first perhaps from below its offset.
    /// `wanted` says, if it is asked, which of the partitions are still to be read, and how far each has come.
    ///
    /// # Errors
    /// Why a partition, or the connection, failed.
    pub(crate) async fn next(
        &mut self,
        wanted: impl FnOnce() -> Vec<Wanted>,
    ) -> Result<Vec<(PartitionId, Bytes)>, Failure> {
        match self {
            Self::Native(feed) => feed.next().await.map(|brought| vec![brought]),
            Self::Kafka(connection, limits) => connection.fetch(&wanted(), *limits).await,
        }
    }
}
