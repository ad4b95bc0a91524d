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
    #[error("{call} failed: {source}; {remedy}")]
    IoUring {
        /// The system call.
        call: &'static str,
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
    /// Files may not grow as long as the settings make them.
    #[error(
        "files may only be {limit} bytes long (RLIMIT_FSIZE), {least} are needed; raise it with \
         `ulimit -f` or LimitFSIZE= in the unit, or lower `segment.bytes` and `journal.bytes`"
    )]
    FileSize {
        /// The limit found.
        limit: u64,
        /// What would do.
        least: u64,
    },
    /// The process may not have as much memory as the settings let it take.
    #[error(
        "only {limit} bytes of address space may be used (RLIMIT_AS), {least} are needed; raise it \
         with `ulimit -v` or LimitAS= in the unit, or lower `memory.cache.bytes`, \
         `memory.requests.bytes` or --cores"
    )]
    AddressSpace {
        /// The limit found.
        limit: u64,
        /// What would do.
        least: u64,
    },
    /// Threads cannot be started.
    #[error(
        "cannot start {threads} threads: {source}; raise `ulimit -u`, TasksMax= in the unit or the \
         container's limit of processes, allow clone3 in its seccomp profile, or lower --cores"
    )]
    Threads {
        /// How many are needed.
        threads: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// Threads may not be bound to CPUs.
    #[error(
        "threads cannot be pinned to CPUs ({call}: {source}); allow it in the container's seccomp \
         profile"
    )]
    Pinning {
        /// The system call.
        call: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A system call that the broker needs.
    #[error(
        "{call}: {source}; look at the limits of this process and at the container's seccomp profile"
    )]
    Call {
        /// Its name.
        call: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(
        "the data directory cannot be used: {}: {source}; correct its permissions, or change --data",
        path.display()
    )]
    DataDir {
        /// The directory or the file in it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What `--data` names is something else, in which a broker makes no files.
    #[error(
        "{} {found}; change --data to the directory of a broker, to an empty one, or to one that is \
         yet to be made",
        path.display()
    )]
    NotData {
        /// What was named.
        path: PathBuf,
        /// Half a sentence.
        found: String,
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
    /// Acknowledgements have to be durable by the settings, and it is not known whether they are.
    #[error(
        "{}: {why}, and `disk.require_direct` asks for a disk; put --data on a local one, or leave \
         that setting out",
        path.display()
    )]
    NotDurable {
        /// The directory.
        path: PathBuf,
        /// Half a sentence.
        why: String,
    },
    /// The file system can neither do direct I/O nor do without it.
    #[error(
        "{}: this file system has no direct I/O, so nothing would be durable; put --data on a \
         local disk",
        .0.display()
    )]
    NoDirectIo(PathBuf),
    /// A listener's address is taken or not ours.
    #[error("cannot listen for the {protocol} protocol on {addr}: {source}; change {flag}")]
    Listen {
        /// Which protocol.
        protocol: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A core could not start.
    #[error(
        "core {core} could not start: {reason}; look at the limits of this process (`ulimit -a`)"
    )]
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
    #[error("a system call failed: {0}; look at the limits of this process (`ulimit -a`)")]
    Io(#[from] io::Error),
}

fn seen(process: Option<u32>) -> String {
    match process {
        Some(process) => format!("process {process}"),
        None => "its process cannot be seen from here: another container?".to_owned(),
    }
}
