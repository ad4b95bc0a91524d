//! What can fail, whose fault it was, and what to do about it.

use std::sync::Arc;

use leveret_wire::native::{ErrorCode, ErrorResponse};
use thiserror::Error as ThisError;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. Cheap to clone: one failure may belong to many records.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Where to.
        address: Arc<str>,
        /// What the system said.
        reason: Arc<str>,
    },
    /// The connection ended before the response came; the request may have taken effect.
    #[error("connection lost: {0}")]
    Disconnected(Arc<str>),
    /// The peer sent what the protocol does not allow; the connection was closed.
    #[error("the peer broke the protocol: {0}")]
    Protocol(Arc<str>),
    /// The broker refused the request.
    #[error("{message} ({code})")]
    Broker {
        /// The broker's reason.
        code: ErrorCode,
        /// Whether the same request may succeed later.
        retriable: bool,
        /// What went wrong, in a sentence.
        message: Arc<str>,
        /// What to do, in a sentence.
        remedy: Arc<str>,
    },
    /// The time for an operation ran out while it failed in ways that might have passed. A
    /// record that this belongs to may have been appended.
    #[error("gave up after {after_ms} ms: {last}")]
    Deadline {
        /// How long it was tried, in milliseconds.
        after_ms: u64,
        /// The last thing that went wrong.
        last: Box<Error>,
    },
    /// No response within the time allowed.
    #[error("no response within {after_ms} ms")]
    NoResponse {
        /// How long it was waited for, in milliseconds.
        after_ms: u64,
    },
    /// The record can never be sent as it is.
    #[error("the record cannot be sent: {0}")]
    InvalidRecord(Arc<str>),
    /// There is nothing to read: no partition is assigned, or all have failed.
    #[error("there is no partition to read from")]
    NotAssigned,
    /// Stored bytes came that are not what was written.
    #[error("partition {partition} of `{topic}` returned a damaged batch: {reason}")]
    Corrupt {
        /// The topic.
        topic: Arc<str>,
        /// Its partition.
        partition: u32,
        /// What does not fit.
        reason: Arc<str>,
    },
    /// The handle was closed, or its task ended.
    #[error("the {0} is closed")]
    Closed(&'static str),
}

impl Error {
    /// Whether the same operation may succeed later without anybody changing it.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Disconnected(_) | Self::NoResponse { .. } => true,
            Self::Broker { retriable, .. } => *retriable,
            Self::Protocol(_)
            | Self::Deadline { .. }
            | Self::InvalidRecord(_)
            | Self::NotAssigned
            | Self::Corrupt { .. }
            | Self::Closed(_) => false,
        }
    }

    /// The broker's code, if it was the broker that said no.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            Self::Deadline { last, .. } => last.code(),
            _ => None,
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::Connect { .. } => "start a broker with `leveret serve`, or correct the address",
            Self::Disconnected(_) => {
                "see whether the broker is still running; if it is not, its log says why"
            }
            Self::Protocol(_) => {
                "check the address, and that client and broker have matching versions"
            }
            Self::Broker { remedy, .. } => remedy,
            Self::Deadline { last, .. } => last.remedy(),
            Self::NoResponse { .. } => "see whether the broker is overloaded, or allow more time",
            Self::InvalidRecord(_) => "make the record smaller, or correct its partition",
            Self::NotAssigned => "assign a partition, or seek in one that has failed",
            Self::Corrupt { .. } => "run `leveret verify` on the broker's data directory",
            Self::Closed(_) => "open a new one",
        }
    }

    pub(crate) fn protocol(reason: impl ToString) -> Self {
        Self::Protocol(reason.to_string().into())
    }

    pub(crate) fn broker(code: ErrorCode, message: &str) -> Self {
        Self::from(ErrorResponse::new(code, message))
    }
}

impl From<ErrorResponse<'_>> for Error {
    fn from(response: ErrorResponse<'_>) -> Self {
        Self::Broker {
            code: response.code,
            retriable: response.retriable,
            message: response.message.as_ref().into(),
            remedy: response.remedy.as_ref().into(),
        }
    }
}
