//! The seam to the device: the operations that storage emits and the completions that it is told
//! of.
//!
//! Storage opens no file and waits for nothing. Whoever drives it (glommio in the broker, a
//! simulated disk in `sim`, plain blocking files in `leveret verify`) carries out [`Op`]s in any
//! order and at any concurrency: **operations in flight are unordered**, so storage starts a
//! dependent operation only after the completion that it depends on.

use std::fmt;

use crate::types::{CoreId, Generation, LogId, Ordinal};

/// Every direct read and write begins and ends at a multiple of this, also in memory.
pub const BLOCK: usize = 4096;

/// A buffer that can be handed to the device: block-aligned, a multiple of [`BLOCK`] long.
pub trait IoBuf: AsRef<[u8]> + AsMut<[u8]> + 'static {}
impl<T: AsRef<[u8]> + AsMut<[u8]> + 'static> IoBuf for T {}

/// Where storage gets its staging buffers from. Their number is bounded by storage itself
/// (commits in flight, segment writes in flight), so allocation does not fail.
pub trait BufPool {
    /// The buffer type of this pool.
    type Buf: IoBuf;

    /// A buffer of exactly `len` bytes (a multiple of [`BLOCK`]) of unspecified content.
    fn alloc(&mut self, len: usize) -> Self::Buf;
}

/// Names a file of the data directory. Drivers open lazily and may cache descriptors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// The two-slot superblock.
    Superblock,
    /// One file of a core's journal ring.
    Journal {
        /// Run that it belongs to.
        generation: Generation,
        /// Owning core.
        core: CoreId,
        /// Place in the ring, from 0.
        index: u16,
    },
    /// A topic segment: record batches back to back.
    Segment {
        /// Log that it belongs to.
        log: LogId,
        /// Ordinal of its first entry.
        base: Ordinal,
        /// Run that created it.
        generation: Generation,
    },
    /// The span index of a segment.
    Index {
        /// Log that it belongs to.
        log: LogId,
        /// Ordinal of the segment's first entry.
        base: Ordinal,
        /// Run that created the segment.
        generation: Generation,
        /// Run that wrote this index: recovery writes a new one rather than edit.
        written: Generation,
    },
    /// A machine snapshot too large to stand in the journal.
    Snapshot {
        /// Log that it belongs to.
        log: LogId,
        /// The snapshot holds the effect of all entries below this ordinal.
        ordinal: Ordinal,
        /// Run that wrote it.
        generation: Generation,
    },
}

/// A directory whose entries storage creates, removes and syncs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dir {
    /// The data directory: holds the superblock.
    Root,
    /// Holds all journal files.
    Journal,
    /// Holds one directory per log.
    Logs,
    /// Holds the segments, indexes and snapshots of one log.
    Log(LogId),
}

impl FileName {
    /// The directory that holds the file's entry.
    #[must_use]
    pub fn dir(self) -> Dir {
        match self {
            Self::Superblock => Dir::Root,
            Self::Journal { .. } => Dir::Journal,
            Self::Segment { log, .. } | Self::Index { log, .. } | Self::Snapshot { log, .. } => {
                Dir::Log(log)
            }
        }
    }

    /// The file's name within [`FileName::dir`].
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Superblock => "superblock".to_owned(),
            Self::Journal {
                generation,
                core,
                index,
            } => {
                format!("{:08x}-{:04x}-{index:04x}.jnl", generation.0, core.0)
            }
            Self::Segment {
                base, generation, ..
            } => {
                format!("{:016x}-{:08x}.log", base.0, generation.0)
            }
            Self::Index {
                base,
                generation,
                written,
                ..
            } => {
                format!("{:016x}-{:08x}-{:08x}.idx", base.0, generation.0, written.0)
            }
            Self::Snapshot {
                ordinal,
                generation,
                ..
            } => {
                format!("{:016x}-{:08x}.snap", ordinal.0, generation.0)
            }
        }
    }

    /// The inverse of [`FileName::name`]: `None` for a name that storage does not write.
    #[must_use]
    pub fn parse(dir: Dir, name: &str) -> Option<Self> {
        let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
        let mut parts = stem.split('-').map(|hex| u64::from_str_radix(hex, 16).ok());
        let mut next = || parts.next().flatten();
        let parsed = match (dir, kind) {
            (Dir::Root, "") if name == "superblock" => Some(Self::Superblock),
            (Dir::Journal, "jnl") => Some(Self::Journal {
                generation: Generation(next()?.try_into().ok()?),
                core: CoreId(next()?.try_into().ok()?),
                index: next()?.try_into().ok()?,
            }),
            (Dir::Log(log), "log") => Some(Self::Segment {
                log,
                base: Ordinal(next()?),
                generation: Generation(next()?.try_into().ok()?),
            }),
            (Dir::Log(log), "idx") => Some(Self::Index {
                log,
                base: Ordinal(next()?),
                generation: Generation(next()?.try_into().ok()?),
                written: Generation(next()?.try_into().ok()?),
            }),
            (Dir::Log(log), "snap") => Some(Self::Snapshot {
                log,
                ordinal: Ordinal(next()?),
                generation: Generation(next()?.try_into().ok()?),
            }),
            _ => None,
        }?;
        (parsed.name() == name).then_some(parsed)
    }
}

impl Dir {
    /// Path relative to the data directory; empty for the root.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Journal => "journal".to_owned(),
            Self::Logs => "logs".to_owned(),
            Self::Log(id) => format!("logs/{:016x}", id.0),
        }
    }

    /// The directory that holds this one's entry; the root has none that we sync.
    #[must_use]
    pub fn parent(self) -> Option<Dir> {
        match self {
            Self::Root => None,
            Self::Journal | Self::Logs => Some(Self::Root),
            Self::Log(_) => Some(Self::Logs),
        }
    }

    /// The log whose directory bears `name` under [`Dir::Logs`].
    #[must_use]
    pub fn parse_log(name: &str) -> Option<LogId> {
        let id = LogId(u64::from_str_radix(name, 16).ok()?);
        (format!("{:016x}", id.0) == name).then_some(id)
    }
}

impl fmt::Display for FileName {
    /// Path relative to the data directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dir() {
            Dir::Root => f.write_str(&self.name()),
            dir => write!(f, "{}/{}", dir.path(), self.name()),
        }
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Pairs an operation with its completion; chosen by storage, unique while in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// One thing that storage wants done.
#[derive(Debug)]
pub enum Op<B> {
    /// Makes a new, empty file and reserves `reserve` bytes for it (fallocate, size unchanged);
    /// fails with [`IoErrorKind::Exists`] if there is one.
    Create {
        /// The file.
        file: FileName,
        /// Bytes to reserve; a hint, not a promise.
        reserve: u64,
    },
    /// Makes a file this long. What it gains are zeroes for which the file system has set space
    /// aside (fallocate), or else it fails; what it loses is gone. A crash may undo what a later
    /// durable write does not need.
    Resize {
        /// The file, which exists.
        file: FileName,
        /// Its new length, bytes.
        len: u64,
    },
    /// Makes a directory; succeeds if it exists.
    MakeDir(Dir),
    /// Writes the whole buffer at `pos` (both block-aligned), directly to the device.
    Write {
        /// The file, which exists.
        file: FileName,
        /// Byte position.
        pos: u64,
        /// What to write.
        buf: B,
        /// Complete only when the device has made it durable, with the metadata needed to read
        /// it back (O_DSYNC).
        durable: bool,
    },
    /// Reads `len` bytes at `pos` (both block-aligned); the answer is shorter at the end.
    Read {
        /// The file.
        file: FileName,
        /// Byte position.
        pos: u64,
        /// Bytes to read.
        len: usize,
    },
    /// Makes every completed write to the file durable (fdatasync).
    Sync(FileName),
    /// Makes the creations, renames and removals in a directory durable.
    SyncDir(Dir),
    /// Makes everything on the file system durable (syncfs).
    SyncAll,
    /// Renames within one directory, replacing what is there.
    Rename {
        /// Present name.
        from: FileName,
        /// New name.
        to: FileName,
    },
    /// Removes a file; succeeds if there is none.
    Remove(FileName),
    /// Removes an empty directory; succeeds if there is none.
    RemoveDir(Dir),
    /// Lists the names in a directory; empty if there is none.
    List(Dir),
    /// The length of a file, `None` if there is none.
    Len(FileName),
    /// Bytes that an unprivileged writer can still use on the file system, less what other stores on
    /// it claim.
    FreeSpace {
        /// Bytes that the asker claims from now on, for its next start: it counts them itself.
        claim: u64,
    },
}

/// What a completed operation gives back.
#[derive(Debug)]
pub enum Output<B> {
    /// Nothing but success.
    Done,
    /// What was read: the buffer and how many bytes of it are valid.
    Read {
        /// Holds the bytes from the start; may be longer than `len`.
        buf: B,
        /// Valid bytes.
        len: usize,
    },
    /// Names found in a directory with their byte lengths (0 for directories), in no order.
    Names(Vec<(String, u64)>),
    /// A file's length, if it exists.
    Len(Option<u64>),
    /// Free bytes.
    Free(u64),
}

/// Why an operation failed, as far as storage tells failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoErrorKind {
    /// No such file.
    NotFound,
    /// It exists already.
    Exists,
    /// No space left on the device.
    NoSpace,
    /// Something else stands there: a directory, a FIFO, a socket, a device.
    NotAFile,
    /// Anything else: the state of what was written is unknown.
    Other,
}

/// A failed operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IoError {
    /// What storage decides by.
    pub kind: IoErrorKind,
    /// For people: names the operation, the file and the system's reason.
    pub message: String,
}

/// How an operation ended.
pub type IoResult<B> = Result<Output<B>, IoError>;
