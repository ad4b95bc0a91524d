//! Leveret's own protocol, through the client crate.

use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::Bytes;
use leveret_client::core::SoleOwner;
use leveret_client::tokio::{SubscribePartition, Subscription};
use leveret_client::{
    Client, ClientOptions, ErrorCode, NewTopic, Offset, OffsetSpec, PartitionId, TopicId,
};

use super::{FetchLimits, How, REQUEST_TIMEOUT, Topic, Wanted};
use crate::failure::Failure;

/// A client, and the topic.
pub(crate) struct Session {
    client: Client,
    topic_id: TopicId,
    topic: String,
    pub(super) partitions: u16,
    pub(super) created: bool,
    /// The core that owns each partition.
    owners: Vec<u16>,
    /// Cores that serve connections of the load.
    used: RefCell<BTreeSet<u16>>,
}

/// A connection that knows its topic.
pub(crate) struct Connection {
    connection: leveret_client::Connection,
    topic_id: TopicId,
}

/// What is pushed of some partitions.
pub(crate) struct Feed {
    subscription: Subscription,
    partitions: Vec<PartitionId>,
}

/// A subscription takes no more.
pub(super) const FEED_PARTITIONS: usize = 512;

/// How many of the largest pushes may be on their way.
const CREDIT: u64 = 4;

impl Session {
    pub(super) async fn open(address: &str, topic: Topic, how: How) -> Result<Self, Failure> {
        if !topic.config.is_empty() {
            return Err(Failure::new(
                "--topic-config works only with --protocol kafka",
                "leave it out, or add --protocol kafka",
            ));
        }
        let client = Client::with_options(options(address, how)).await?;
        let mut new = NewTopic::new(&topic.name, u32::from(topic.partitions));
        new.level = topic.level;
        let created = match client.admin().create_topic(&new).await {
            Ok(_) => true,
            Err(error) if error.code() == Some(ErrorCode::TopicExists) && topic.may_exist => false,
            Err(error) => return Err(error.into()),
        };
        let metadata = client.admin().metadata(&topic.name).await?;
        let partitions = u16::try_from(metadata.partitions).map_err(|_| {
            Failure::new("the topic has too many partitions", "choose one with fewer")
        })?;
        Ok(Self {
            client,
            topic_id: metadata.topic_id,
            topic: topic.name,
            partitions,
            created,
            owners: metadata.cores,
            used: RefCell::default(),
        })
    }

    pub(super) fn cores_used(&self) -> usize {
        self.used.borrow().len()
    }

    pub(super) async fn connect(
        &self,
        partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<Connection, Failure> {
        let mut owner = SoleOwner::default();
        for partition in partitions {
            owner.add(self.owners.get(partition.0 as usize).copied());
        }
        let connection = self.client.open_connection_for(owner.core()).await?;
        self.used.borrow_mut().insert(connection.server().core);
        Ok(Connection {
            connection,
            topic_id: self.topic_id,
        })
    }

    pub(super) async fn end(&self, partition: PartitionId) -> Result<Offset, Failure> {
        let admin = self.client.admin();
        let found = admin
            .list_offsets(self.topic_id, partition, OffsetSpec::Latest)
            .await?;
        Ok(found.offset)
    }

    pub(super) async fn delete_topic(&self) -> Result<(), Failure> {
        self.client.admin().delete_topic(&self.topic).await?;
        Ok(())
    }
}

impl Connection {
    pub(super) async fn produce(
        &self,
        partition: PartitionId,
        batch: Bytes,
    ) -> Result<(), Failure> {
        let pending = self
            .connection
            .produce_batch(self.topic_id, partition, None, batch)
            .await?;
        pending.await?;
        Ok(())
    }

    pub(super) async fn feed(
        &self,
        wanted: &[Wanted],
        limits: FetchLimits,
    ) -> Result<Feed, Failure> {
        let asked: Vec<_> = wanted
            .iter()
            .map(|wanted| SubscribePartition {
                topic_id: self.topic_id,
                partition: wanted.partition,
                offset: wanted.from,
                max_bytes: limits.bytes,
            })
            .collect();
        let credit = CREDIT * u64::from(limits.bytes);
        Ok(Feed {
            subscription: self.connection.subscribe(credit, &asked).await?,
            partitions: wanted.iter().map(|wanted| wanted.partition).collect(),
        })
    }
}

impl Feed {
    pub(super) async fn next(&mut self) -> Result<(PartitionId, Bytes), Failure> {
        let pushed = self.subscription.next().await?;
        if let Some(code) = pushed.push.error {
            return Err(Failure::new(
                format!("reading failed: {code}"),
                code.remedy(),
            ));
        }
        let partition = self.partitions.get(pushed.push.index as usize);
        let partition = *partition.ok_or_else(|| {
            Failure::new(
                "the broker pushed a partition that was not subscribed to",
                "this is a fault of the broker: please report it",
            )
        })?;
        self.subscription.credit(pushed.batches.len() as u64)?;
        Ok((partition, pushed.batches))
    }
}

/// Bounds that the load itself stays below, so that it is never the client that makes it wait.
fn options(address: &str, how: How) -> ClientOptions {
    let mut options = ClientOptions::new(address);
    options.client_name = "leveret-loadgen".to_owned();
    options.max_queued_bytes = options.max_queued_bytes.max(2 * how.in_flight_bytes);
    options.max_in_flight = options.max_in_flight.max(65_536);
    options.request_timeout = REQUEST_TIMEOUT;
    options.connection_per_core = !how.any_core;
    options
}

impl From<leveret_client::Error> for Failure {
    fn from(error: leveret_client::Error) -> Self {
        Self::new(error.to_string(), error.remedy())
    }
}
