//! Why the broker could not start or had to end: each message names the limit or flag to change.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure of the runtime. `Display` is a complete line for people.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The CPUs asked for are not there.
    #[error("{0}")]
    Cpus(String),
    /// The kernel refuses io_uring.
    #[error("io_uring_setup failed: {source}; {remedy}")]
    IoUring {
        /// The kernel's answer.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Too little memory may be locked.
    #[error(
        "only {limit} bytes of memory may be locked (RLIMIT_MEMLOCK), {least} are needed; raise \
         it with `ulimit -l` or LimitMEMLOCK= in the unit, or lower --cores"
    )]
    Memlock {
        /// The limit found.
        limit: u64,
        /// What would do.
        least: u64,
    },
    /// Too few files may be open.
    #[error(
        "only {limit} files may be open (RLIMIT_NOFILE), {least} are needed; raise it with \
         `ulimit -n` or LimitNOFILE= in the unit"
    )]
    OpenFiles {
        /// The limit found.
        limit: u64,
        /// What would do.
        least: u64,
    },
    /// The data directory cannot be used.
    #[error("data directory: {}: {source}; change --data", path.display())]
    DataDir {
        /// The directory or the file in it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "{}: another broker, or a tool that reads its data, holds this data directory ({}); stop it \
         or change --data",
        path.display(), seen(*holder)
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its process, if that can be seen from here.
        holder: Option<u32>,
    },
    /// It is asked for that acknowledgements are durable, and it is not known that they are.
    #[error(
        "{}: {why}, and `disk.require_direct` asks for a disk; put --data on a local one, or take \
         that setting away",
        path.display()
    )]
    NotDurable {
        /// The directory.
        path: PathBuf,
        /// Half a sentence.
        why: String,
    },
    /// The file system can do neither direct I/O nor without.
    #[error(
        "{}: this file system has no direct I/O, so nothing would be durable; put --data on a \
         local disk",
        .0.display()
    )]
    NoDirectIo(PathBuf),
    /// A listener's address is taken or not ours.
    #[error("cannot listen for {protocol} on {addr}: {source}; change {flag}")]
    Listen {
        /// Which protocol.
        protocol: &'static str,
        /// Where.
        addr: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A core could not start.
    #[error("core {core} could not start: {reason}")]
    Core {
        /// Which core.
        core: usize,
        /// In words.
        reason: String,
    },
    /// What had to happen before serving (recovery) failed.
    #[error("{0}")]
    Bootstrap(String),
    /// Any other system call.
    #[error("runtime: {0}")]
    Io(#[from] io::Error),
}

fn seen(process: Option<u32>) -> String {
    match process {
        Some(process) => format!("process {process}"),
        None => "its process cannot be seen from here: another container?".to_owned(),
    }
}
