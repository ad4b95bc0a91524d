//! Tells a file from what else can have its name: reading a FIFO may wait for ever, and what a
//! device gives was written by no broker.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use leveret_storage::io::IoErrorKind;

/// What was found instead of a file.
#[derive(Debug)]
struct NotAFile(&'static str);

impl fmt::Display for NotAFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stands there, and no file", self.0)
    }
}

impl std::error::Error for NotAFile {}

/// Refuses what is no regular file.
///
/// # Errors
/// What it is, of the kind [`IoErrorKind::NotAFile`] for [`kind_of`].
pub(crate) fn expect_file(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(NotAFile(what)))
}

/// Opens a file, without waiting for whoever else may open what stands there.
///
/// # Errors
/// What stands there, if that is no file, or the system's.
pub(crate) fn open_at_once(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let opened = options.custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| why_not_opened(path, error))?;
    expect_file(&file.metadata()?)?;
    Ok(file)
}

/// Why a path could not be opened: what stands there, if that is no file, or `error`.
pub(crate) fn why_not_opened(path: &Path, error: io::Error) -> io::Error {
    let found = fs::metadata(path).and_then(|found| expect_file(&found));
    found
        .err()
        .filter(|what| kind_of(what) == IoErrorKind::NotAFile)
        .unwrap_or(error)
}

/// How storage tells failures apart.
pub(crate) fn kind_of(error: &io::Error) -> IoErrorKind {
    let inner = error.get_ref();
    match error.kind() {
        io::ErrorKind::NotFound => IoErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => IoErrorKind::Exists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoErrorKind::NoSpace,
        _ if inner.is_some_and(|inner| inner.is::<NotAFile>()) => IoErrorKind::NotAFile,
        _ => IoErrorKind::Other,
    }
}
