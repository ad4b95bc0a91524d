//! From a frame to a request.

use super::{
    AlterConfigsRequest, ApiKey, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DecodeError, DeleteTopicsRequest, DescribeConfigsRequest, FetchRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, Reader,
};

/// What a client asks. Strings and arrays lie in the frame.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Appends record batches.
    Produce(ProduceRequest<'a>),
    /// Reads record batches.
    Fetch(FetchRequest<'a>),
    /// Finds offsets by timestamp.
    ListOffsets(ListOffsetsRequest<'a>),
    /// Brokers, topics and partitions.
    Metadata(MetadataRequest<'a>),
    /// Which versions of which requests the broker knows.
    ApiVersions(ApiVersionsRequest<'a>),
    /// Creates topics.
    CreateTopics(CreateTopicsRequest<'a>),
    /// Deletes topics.
    DeleteTopics(DeleteTopicsRequest<'a>),
    /// Wants a producer id.
    InitProducerId(InitProducerIdRequest<'a>),
    /// Settings of topics and brokers.
    DescribeConfigs(DescribeConfigsRequest<'a>),
    /// Replaces all settings of topics.
    AlterConfigs(AlterConfigsRequest<'a>),
    /// Adds partitions to topics.
    CreatePartitions(CreatePartitionsRequest<'a>),
    /// Changes single settings of topics.
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest<'a>),
}

impl<'a> Request<'a> {
    /// Reads the body that follows a [`RequestHeader`](super::RequestHeader) of that API. Bytes
    /// after it are left, as Kafka leaves them.
    ///
    /// # Errors
    /// [`DecodeError`], if the body is not as its version has it.
    pub fn decode(api: ApiKey, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match api {
            ApiKey::Produce => Self::Produce(ProduceRequest::decode(reader)?),
            ApiKey::Fetch => Self::Fetch(FetchRequest::decode(reader)?),
            ApiKey::ListOffsets => Self::ListOffsets(ListOffsetsRequest::decode(reader)?),
            ApiKey::Metadata => Self::Metadata(MetadataRequest::decode(reader)?),
            ApiKey::ApiVersions => Self::ApiVersions(ApiVersionsRequest::decode(reader)?),
            ApiKey::CreateTopics => Self::CreateTopics(CreateTopicsRequest::decode(reader)?),
            ApiKey::DeleteTopics => Self::DeleteTopics(DeleteTopicsRequest::decode(reader)?),
            ApiKey::InitProducerId => Self::InitProducerId(InitProducerIdRequest::decode(reader)?),
            ApiKey::DescribeConfigs => {
                Self::DescribeConfigs(DescribeConfigsRequest::decode(reader)?)
            }
            ApiKey::AlterConfigs => Self::AlterConfigs(AlterConfigsRequest::decode(reader)?),
            ApiKey::CreatePartitions => {
                Self::CreatePartitions(CreatePartitionsRequest::decode(reader)?)
            }
            ApiKey::IncrementalAlterConfigs => {
                Self::IncrementalAlterConfigs(IncrementalAlterConfigsRequest::decode(reader)?)
            }
        })
    }
}
