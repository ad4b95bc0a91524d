//! The Kafka protocol: frames, the requests that a broker reads and the responses that it writes.
//!
//! A request frame is a length, a header and a body ([`frame_len`], [`RequestHeader`],
//! [`Request`]); a response frame is begun and finished by [`encode_response`], or, where it tells of many things, put
//! together of their [`Line`]s and what stands [around](encode_around) them, or, where record batches follow the head
//! uncopied, by [`FetchResponse::encode`]. One file per API is in `api/`,
//! with its key and versions ([`ApiRequest`]) and the one list of them, [`ApiKey`].
//! The layouts are those of the message schemas of Apache Kafka 4.x, written by hand. The lowest
//! versions are lower than what Kafka 4 serves, since clients test for overlap with versions of
//! long ago.
//!
//! Decoding borrows from the frame and allocates nothing: an [`Array`] is checked once as a whole,
//! and read again element by element where it is used. What a peer sends can make decoding return
//! an error, but neither panic nor allocate.
//!
//! What this refuses to do: it does not read or write sockets, does not keep sessions or the order
//! of responses, does not look into record batches and never copies them. It knows no client's
//! side (no request is written, no response is read).

mod api;
mod api_key;
mod array;
mod checking;
mod consumer_protocol;
mod error;
mod error_code;
mod frame;
mod reader;
mod response;
mod types;
mod writer;

pub use api::*;
pub use api_key::{ApiRequest, VersionRange, api_name};
pub use array::{Array, Element, Elements, Place};
pub use checking::{CheckedFrame, Checking, Step};
pub use consumer_protocol::{CONSUMER, subscribed_topics};
pub use error::{DecodeError, Fault, HeaderError};
pub use error_code::ErrorCode;
pub use frame::{FrameError, LENGTH_PREFIX, RequestHeader, frame_len};
pub use reader::Reader;
pub use response::{Line, Response, encode_around, encode_response};
pub use types::{Isolation, Text, TopicGroup, TopicRef, Uuid};
pub use writer::Writer;

/// The port that Kafka clients expect unless told otherwise.
pub const DEFAULT_PORT: u16 = 9092;
