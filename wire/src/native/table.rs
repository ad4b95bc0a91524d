//! The only way to FlatBuffers: tables are verified before they are read, and what the verifier may
//! spend is bounded.

use flatbuffers::{Follow, Verifiable, VerifierOptions};
use thiserror::Error;

use super::Kind;
use super::generated::leveret::native as fb;
use super::types::{Level, Offset};

/// Tables nest as root, list, entry; the verifier counts each as a level or two.
const MAX_DEPTH: usize = 8;

/// Why a header is not the table that its kind promises. The frame was whole: the connection can
/// go on with the next one after an error response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A number that this version has no kind for, or one of the other direction.
    #[error("the frame kind {0:#06x} is not known here")]
    Kind(u16),
    /// Not a valid FlatBuffers table of that kind.
    #[error("the {} header is malformed: {reason}", .kind.name())]
    Malformed {
        /// What it should have been.
        kind: Kind,
        /// The first line of what the verifier says.
        reason: Box<str>,
    },
    /// A field holds a value that it cannot have.
    #[error("{}: the field `{field}` has an impossible value", .kind.name())]
    Field {
        /// The frame's kind.
        kind: Kind,
        /// The field's name in the schema.
        field: &'static str,
    },
}

/// Checks `header` and returns its root.
///
/// Tables and vectors of a hostile buffer may overlap; the bound on the apparent size keeps what
/// a reader can be made to collect within a small multiple of the bytes that were sent.
pub(super) fn root<'a, T>(kind: Kind, header: &'a [u8]) -> Result<T::Inner, DecodeError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    let options = VerifierOptions {
        max_depth: MAX_DEPTH,
        max_tables: header.len() / 8 + 1,
        max_apparent_size: header.len() * 4 + 256,
        ..VerifierOptions::default()
    };
    flatbuffers::root_with_opts::<T>(&options, header).map_err(|error| {
        let text = error.to_string();
        DecodeError::Malformed {
            kind,
            reason: text.lines().next().unwrap_or_default().into(),
        }
    })
}

/// The level of a field where 0 asks for the topic's own.
pub(super) fn optional_level(kind: Kind, level: fb::Level) -> Result<Option<Level>, DecodeError> {
    match level {
        fb::Level::Default => Ok(None),
        fb::Level::Synced => Ok(Some(Level::Synced)),
        fb::Level::Written => Ok(Some(Level::Written)),
        fb::Level::Memory => Ok(Some(Level::Memory)),
        _ => Err(DecodeError::Field {
            kind,
            field: "level",
        }),
    }
}

/// The level of a field that must name one.
pub(super) fn level(kind: Kind, level: fb::Level) -> Result<Level, DecodeError> {
    optional_level(kind, level)?.ok_or(DecodeError::Field {
        kind,
        field: "level",
    })
}

/// The wire's number for a level, or for none.
pub(super) fn raw_level(level: Option<Level>) -> fb::Level {
    match level {
        None => fb::Level::Default,
        Some(Level::Synced) => fb::Level::Synced,
        Some(Level::Written) => fb::Level::Written,
        Some(Level::Memory) => fb::Level::Memory,
    }
}

/// An offset field; batches hold offsets as `i64`, so the upper half is impossible.
pub(super) fn offset(kind: Kind, field: &'static str, value: u64) -> Result<Offset, DecodeError> {
    if i64::try_from(value).is_ok() {
        Ok(Offset(value))
    } else {
        Err(DecodeError::Field { kind, field })
    }
}
