//! The Kafka protocol: frames, the requests that a broker reads and the responses that it writes.
//!
//! A request frame is a length, a header and a body ([`frame_len`], [`RequestHeader`],
//! [`Request`]); a response frame is begun and finished by [`encode_response`], or, where record
//! batches follow the head uncopied, by [`FetchResponse::encode`]. One file per API is in [`api`].
//! The layouts are those of the message schemas of Apache Kafka 4.x, written by hand; every
//! version range is in one table, [`ApiKey`].
//!
//! Decoding borrows from the frame and allocates nothing: an [`Array`] is checked once as a whole,
//! and read again element by element where it is used. What a peer sends can make decoding return
//! an error, but neither panic nor allocate.
//!
//! What this refuses to do: it does not read or write sockets, does not keep sessions or the order
//! of responses, does not look into record batches and never copies them. It knows no client's
//! side (no request is written, no response is read).

pub mod api;
mod api_key;
mod array;
mod checking;
mod error;
mod error_code;
mod frame;
mod reader;
mod request;
mod response;
mod types;
mod writer;

pub use api::alter_configs::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
pub use api::alter_configs::{AlterConfigsResponse, AlteredResource};
pub use api::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub use api::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsResult, CreatePartitionsTopic,
};
pub use api::create_topics::{
    CreatableConfig, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
    CreatedTopicConfig, ReplicaAssignment,
};
pub use api::delete_topics::{
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, TopicToDelete,
};
pub use api::describe_configs::{
    ConfigEntry, ConfigSource, ConfigSynonym, ConfigType, DescribeConfigsRequest,
    DescribeConfigsResource, DescribeConfigsResponse, DescribedResource, ResourceType,
};
pub use api::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchedPartition, ForgottenTopic,
    interleave,
};
pub use api::incremental_alter_configs::{
    ConfigOperation, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, IncrementalConfig,
};
pub use api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use api::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListedPartition, ListedTopic,
};
pub use api::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};
pub use api::produce::{
    ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, ProducedPartition, RecordError,
};
pub use api_key::{ApiKey, VersionRange, api_name};
pub use array::{Array, Element, Elements, Place};
pub use checking::{CheckedFrame, Checking, Step};
pub use error::{DecodeError, Fault, HeaderError};
pub use error_code::ErrorCode;
pub use frame::{FrameError, LENGTH_PREFIX, RequestHeader, frame_len};
pub use reader::Reader;
pub use request::Request;
pub use response::{Response, encode_around, encode_response};
pub use types::{Isolation, Text, TopicGroup, TopicRef, Uuid};
pub use writer::Writer;

/// The port that Kafka clients expect unless told otherwise.
pub const DEFAULT_PORT: u16 = 9092;
