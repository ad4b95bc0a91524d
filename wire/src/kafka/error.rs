//! What can be wrong with a peer's bytes.

use thiserror::Error;

/// A field that is not as its schema has it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("byte {at} of the frame: {fault}")]
pub struct DecodeError {
    /// Where the field begins, counted from the start of the frame.
    pub at: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The ways in which a field can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It says to be longer than what is left.
    #[error("the field is longer than the bytes that are left")]
    Truncated,
    /// A negative length other than the -1 of null.
    #[error("its length is {0}")]
    NegativeLength(i32),
    /// Null where the version allows none.
    #[error("it is null, where a value is required")]
    Null,
    /// A string beyond Kafka's own bound of 32767 bytes.
    #[error("the string has {0} bytes; at most 32767 are allowed")]
    StringTooLong(usize),
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    Utf8,
    /// A variable-length integer of more than 32 bits.
    #[error("the varint has more than 32 bits")]
    Varint,
    /// More tagged fields than any version has, or ever had reason to.
    #[error("{0} tagged fields are too many for one structure")]
    TooManyTags(u32),
    /// A request that names more topics and partitions than so many.
    #[error("more than {0} topics and partitions in one request")]
    TooManyNamed(usize),
    /// Nothing is wrong: a step of a check ends here.
    #[error("the check goes on from here")]
    Paused,
    /// An array of more elements than the bytes left could hold at the fewest bytes each.
    #[error("{count} elements cannot be in {room} bytes")]
    TooMany {
        /// Elements announced.
        count: usize,
        /// Bytes left.
        room: usize,
    },
}

/// A request that cannot be read beyond its header. The connection ends with it, except that an
/// unknown version of `ApiVersions` has an answer (see [`HeaderError::UnsupportedVersion`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The header itself is broken.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An API that this crate does not have, and which was never advertised.
    #[error("request of the unknown API key {key}, version {version}")]
    UnknownApi {
        /// The key as it came.
        key: i16,
        /// The version as it came.
        version: i16,
    },
    /// A version outside of the API's range. For `ApiVersions` the answer is an
    /// [`ApiVersionsResponse`](super::ApiVersionsResponse) with
    /// [`ErrorCode::UnsupportedVersion`](super::ErrorCode::UnsupportedVersion), encoded in
    /// version 0 whatever was asked.
    #[error("{} request of version {version}", api.name())]
    UnsupportedVersion {
        /// The API that was asked.
        api: super::ApiKey,
        /// The version as it came.
        version: i16,
        /// To be given back in an answer.
        correlation_id: i32,
    },
}
