//! Why recovery refuses to start, with the place.

use crate::format::FormatError;
use crate::io::{FileName, IoError};

/// Why recovery or verification could not go on. It never guesses past any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// Durable bytes are damaged or missing. Starting would lose acknowledged data silently.
    #[error("corruption in {file} at byte {position}: {what}")]
    Corruption {
        /// Damaged file.
        file: FileName,
        /// Where in it.
        position: u64,
        /// What is wrong there.
        what: String,
    },
    /// A newer Leveret wrote this directory.
    #[error("{file} at byte {position}: {what}")]
    Version {
        /// File with the unknown version.
        file: FileName,
        /// Where in it.
        position: u64,
        /// Which structure and version.
        what: String,
    },
    /// The file system is too full to start on; what was begun was given back.
    #[error(
        "too little space to start: what the journals hold is written once more before they are \
         given back, which takes up to {need} bytes here, and {free} are free. Free that much on \
         the file system of the data directory, or make it larger; nothing was changed ({reason})"
    )]
    NoSpace {
        /// Bytes that a start takes at most.
        need: u64,
        /// Bytes that are free.
        free: u64,
        /// What the file system refused.
        reason: String,
    },
    /// The device refused an operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The directory cannot be opened with this configuration.
    #[error("configuration: {0}")]
    Config(String),
}

impl RecoveryError {
    /// Corruption at a place.
    pub(crate) fn corrupt(file: FileName, position: u64, what: impl Into<String>) -> Self {
        Self::Corruption {
            file,
            position,
            what: what.into(),
        }
    }

    /// A structure that is not as it must be: corruption, or a version that is too new.
    pub(crate) fn format(file: FileName, position: u64, error: FormatError) -> Self {
        let what = error.to_string();
        if error.is_version() {
            Self::Version {
                file,
                position,
                what,
            }
        } else {
            Self::Corruption {
                file,
                position,
                what,
            }
        }
    }
}
