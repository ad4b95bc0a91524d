//! Topics, offsets and status, asked of the broker.
//!
//! What only reads is tried again while it fails in ways that may pass. What changes something
//! is sent once: after a lost connection only the caller can tell whether to repeat it.

use leveret_wire::native::{
    AlterTopicOk, CreateTopicOk, ListOffsets, ListOffsetsOk, OffsetSpec, PartitionId, Request,
    TopicId,
};

use super::client::Client;
use crate::Result;
use crate::core::{
    BrokerStatus, Frame, NewTopic, TopicChanges, TopicDescription, TopicListing, TopicMetadata,
    admin,
};

/// Administers the broker of a client.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates a topic; returns when every core of the broker knows it.
    ///
    /// # Errors
    /// `TopicExists`, `InvalidTopicName`, `InvalidConfig`, `InvalidRequest`, or what the connection met.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<CreateTopicOk> {
        self.client.call(&topic.request(), admin::created).await
    }

    /// Alters a topic; returns when every core of the broker has it so.
    ///
    /// # Errors
    /// `UnknownTopic`, `InvalidConfig`, `InvalidRequest`, or what the connection met.
    pub async fn alter_topic(&self, name: &str, changes: &TopicChanges) -> Result<AlterTopicOk> {
        let request = changes.request(name);
        self.client.call(&request, admin::altered).await
    }

    /// Deletes a topic and its records.
    ///
    /// # Errors
    /// `UnknownTopic`, or what the connection met.
    pub async fn delete_topic(&self, name: &str) -> Result<TopicId> {
        let request = Request::DeleteTopic(name);
        self.client.call(&request, admin::deleted).await
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// What the connection met.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>> {
        self.read(&Request::ListTopics, admin::listed).await
    }

    /// The topics of these names, in that order; all topics, without their `config` and `figures`, if
    /// there are none.
    ///
    /// # Errors
    /// `UnknownTopic`, or what the connection met.
    pub async fn describe_topics(&self, names: &[&str]) -> Result<Vec<TopicDescription>> {
        let request = Request::DescribeTopics(names.to_vec());
        self.read(&request, admin::described).await
    }

    /// A topic's id, partition count and level.
    ///
    /// # Errors
    /// `UnknownTopic`, or what the connection met.
    pub async fn metadata(&self, topic: &str) -> Result<TopicMetadata> {
        self.read(&Request::Metadata(topic), admin::metadata).await
    }

    /// An offset of a partition; see [`ListOffsetsOk`] for what it is when there is no such
    /// record.
    ///
    /// # Errors
    /// `UnknownTopic`, `UnknownPartition`, or what the connection met.
    pub async fn list_offsets(
        &self,
        topic_id: TopicId,
        partition: PartitionId,
        spec: OffsetSpec,
    ) -> Result<ListOffsetsOk> {
        let request = Request::ListOffsets(ListOffsets {
            topic_id,
            partition,
            spec,
        });
        self.read(&request, admin::offset).await
    }

    /// How the broker is.
    ///
    /// # Errors
    /// What the connection met.
    pub async fn status(&self) -> Result<BrokerStatus> {
        self.read(&Request::Status, admin::status).await
    }

    async fn read<T>(&self, request: &Request<'_>, decode: fn(&Frame) -> Result<T>) -> Result<T> {
        let limit = self.client.options().retry_timeout;
        self.client.call_again(request, decode, limit).await
    }
}
