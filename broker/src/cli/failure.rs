//! How a command ends when it cannot do what it was asked: one line, with what to do next.

use std::fmt;
use std::io;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Told {
        /// What happened, as half a sentence.
        what: String,
        /// What to do about it, as half a sentence.
        remedy: String,
    },
    /// Something to tell that says itself what to do.
    Said(String),
    /// The user ended it with Ctrl-C; the line says how far it had come.
    Interrupted(String),
    /// The command has printed its finding already (`verify` with errors); only the exit code is
    /// left.
    AlreadyTold,
    /// The reader of standard output has gone (`leveret consume … | head`), which is no fault.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Told {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// For an error of writing to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::new(
                format!("cannot write to standard output: {error}"),
                "look at what it is connected to",
            )
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told { what, remedy } => write!(f, "{what}; {remedy}"),
            Self::Said(line) | Self::Interrupted(line) => f.write_str(line),
            Self::AlreadyTold => f.write_str("errors were found"),
            Self::OutputClosed => f.write_str("standard output was closed"),
        }
    }
}
