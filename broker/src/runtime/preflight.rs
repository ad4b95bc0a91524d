//! What must hold before the first core starts, checked with a clear answer each: io_uring,
//! limits, the data directory and its lock, what it lies on. It changes nothing but the soft limit
//! on open files, the mask of what others may do with new files, and the file that it makes in the
//! data directory for a moment.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::RuntimeError;
use super::data_dir::Holding;
use super::lock::DataLock;
use super::medium::{Medium, TrueLevel};

/// Locked memory of one core with which all that it asks for is granted.
const FULL_MEMLOCK_PER_CORE: u64 = RINGS * IO_MEMORY * 4 / 3;
/// Locked memory without which glommio does not start.
const LEAST_MEMLOCK: u64 = 512 * 1024;
/// Locked memory of one core: its four rings and the least registered memory, measured.
const LEAST_MEMLOCK_PER_CORE: u64 = 384 * 1024;
/// Open files without which a broker is of no use.
pub(super) const LEAST_FILES: u64 = 256;
/// Registered I/O memory per core that is asked for where the limit allows.
const IO_MEMORY: u64 = 2 * 1024 * 1024;
/// Below this glommio's slab is of no use; it then takes plain aligned memory.
const LEAST_IO_MEMORY: u64 = 64 * 1024;
/// glommio registers its I/O memory with each of its three rings, and each counts.
const RINGS: u64 = 3;

/// What the checks found.
#[derive(Debug)]
pub(super) struct Preflight {
    /// Holds the lock on the data directory while it lives.
    pub(super) lock: DataLock,
    pub(super) medium: Medium,
    /// Bytes of registered memory for each executor.
    pub(super) io_memory: usize,
    /// The soft limit on open files.
    pub(super) files: u64,
}

/// What the settings come to, as far as limits of the process are about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Bytes of the longest file.
    pub file: u64,
    /// Bytes that all budgets of memory come to, of each core.
    pub memory_per_core: u64,
}

/// Runs all checks for so many cores.
pub(super) fn check(
    data: &Path,
    cores: usize,
    needs: Needs,
    require_direct_io: bool,
) -> Result<Preflight, RuntimeError> {
    io_uring_works()?;
    limits_suffice(cores, needs)?;
    threads_start(cores)?;
    let io_memory = io_memory(limit(libc::RLIMIT_MEMLOCK)?, cores)?;
    let files = raise_files()?;
    keep_from_others();
    let failed = |source| RuntimeError::DataDir {
        path: data.to_owned(),
        source,
    };
    Holding::at(data)?.may_serve(data)?;
    create_durably(data).map_err(failed)?;
    let lock = DataLock::for_broker(data, |line| tracing::warn!("{line}"))?;
    warn_if_open_to_others(data).map_err(failed)?;
    let medium = Medium::of(data, "probe-direct")?;
    if let Some(doubt) = medium.doubt.as_deref() {
        if require_direct_io {
            return Err(RuntimeError::NotDurable {
                path: data.to_owned(),
                why: doubt.to_owned(),
            });
        }
        warn_of_doubt(data, &medium, doubt);
    }
    Ok(Preflight {
        lock,
        medium,
        io_memory,
        files,
    })
}

fn warn_of_doubt(data: &Path, medium: &Medium, doubt: &str) {
    let file_system = &medium.file_system;
    let data = data.display();
    if medium.level == TrueLevel::PageCache {
        tracing::warn!(
            %data, file_system,
            "NOT DURABLE: {doubt}. Acknowledged records are lost with a power cut or crash of the \
             machine; put --data on a local disk"
        );
    } else {
        tracing::warn!(
            %data, file_system,
            "DURABILITY NOT KNOWN: {doubt}. Whether acknowledged records survive a power cut is \
             not in this broker's hands; put --data on a local disk to have it sure"
        );
    }
}

/// What the process makes from here on is its user's alone, whatever mask it was started with.
fn keep_from_others() {
    #[expect(unsafe_code, reason = "umask(2) has no safe wrapper")]
    // SAFETY: takes a number and cannot fail.
    unsafe {
        libc::umask(0o077);
    }
}

/// A directory that was there before keeps the mode that somebody gave it.
fn warn_if_open_to_others(data: &Path) -> io::Result<()> {
    let mode = fs::metadata(data)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            data = %data.display(),
            "other users may enter the data directory (mode {mode:04o}): `chmod 700` keeps them \
             out; new files are for the broker's user alone"
        );
    }
    Ok(())
}

/// Makes the directory and what leads to it, and syncs each directory that gained an entry: all
/// that storage syncs is for nothing if a power cut takes the directory around it.
fn create_durably(dir: &Path) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_durably(parent)?;
            fs::create_dir(dir)?;
        }
        // An earlier run may have been cut off between making and syncing it.
        Err(_) if dir.is_dir() => {}
        made => made?,
    }
    match File::open(parent) {
        Ok(parent) => parent.sync_all(),
        // Whoever made it for us, as an ordinary user below a directory that we may not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks the kernel for a small ring and for each of its calls, so that a refusal is told apart
/// from lack of memory, and from a ring that cannot be used.
pub(super) fn io_uring_works() -> Result<(), RuntimeError> {
    let refused = |call, source: io::Error| {
        let remedy = match source.raw_os_error() {
            Some(libc::ENOSYS) => "the kernel has no io_uring; 5.19 or newer is needed",
            Some(libc::EPERM | libc::EACCES) => {
                "it is forbidden: look at /proc/sys/kernel/io_uring_disabled and at the \
                     container's seccomp profile"
            }
            Some(libc::ENOMEM) => {
                "not enough locked memory: raise it with `ulimit -l` or LimitMEMLOCK="
            }
            Some(libc::EMFILE | libc::ENFILE) => "too many open files: raise `ulimit -n`",
            _ => "see io_uring_setup(2)",
        };
        RuntimeError::IoUring {
            call,
            source,
            remedy,
        }
    };
    let ring = io_uring::IoUring::new(4).map_err(|e| refused("io_uring_setup", e))?;
    ring.submitter()
        .register_probe(&mut io_uring::Probe::new())
        .map_err(|e| refused("io_uring_register", e))?;
    ring.submit_and_wait(0)
        .map_err(|e| refused("io_uring_enter", e))?;
    Ok(())
}

/// Whether files and memory may grow to what the settings come to: the process would be ended in
/// the midst of its work.
pub(super) fn limits_suffice(cores: usize, needs: Needs) -> Result<(), RuntimeError> {
    /// What is there besides the budgets: code, stacks, rings, and what the allocator sets aside.
    const BASE: u64 = 128 << 20;
    // A file that grows beyond the limit is refused, and that is told; without this it would end
    // the process.
    #[expect(unsafe_code, reason = "signal(2) takes a constant")]
    // SAFETY: no handler of ours is installed.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    let files = limit(libc::RLIMIT_FSIZE)?.rlim_cur;
    if files < needs.file {
        return Err(RuntimeError::FileSize {
            limit: files,
            least: needs.file,
        });
    }
    let space = limit(libc::RLIMIT_AS)?.rlim_cur;
    let cores = u64::try_from(cores).expect("a small number");
    let least = needs
        .memory_per_core
        .saturating_mul(cores)
        .saturating_add(BASE);
    if space < least {
        return Err(RuntimeError::AddressSpace {
            limit: space,
            least,
        });
    }
    Ok(())
}

/// Starts as many threads as there will be, and ends them: where they cannot be had later, what
/// needs them panics or waits for ever.
pub(super) fn threads_start(cores: usize) -> Result<(), RuntimeError> {
    /// Its own thread, a helper, and two of the kernel's workers.
    const PER_CORE: usize = 4;
    /// The HTTP server, and one that frees removed files.
    const BESIDE: usize = 2;
    let threads = PER_CORE * cores + BESIDE;
    std::thread::scope(|scope| {
        // Hangs up, and so ends them all, whether or not all have come to be.
        let mut stay = Vec::with_capacity(threads);
        for _ in 0..threads {
            let (hang_up, stays) = std::sync::mpsc::channel::<()>();
            stay.push(hang_up);
            std::thread::Builder::new()
                .spawn_scoped(scope, move || {
                    let _hung_up = stays.recv();
                })
                .map_err(|source| RuntimeError::Threads { threads, source })?;
        }
        Ok(())
    })
}

/// Soft and hard limit; `u64::MAX` means none.
pub(super) fn limit(which: libc::__rlimit_resource_t) -> Result<libc::rlimit, RuntimeError> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    #[expect(unsafe_code, reason = "getrlimit(2) fills a plain struct")]
    // SAFETY: the pointer is to a live struct of the right type.
    let result = unsafe { libc::getrlimit(which, &raw mut limit) };
    if result == 0 {
        Ok(limit)
    } else {
        let source = io::Error::last_os_error();
        Err(RuntimeError::Call {
            call: "getrlimit",
            source,
        })
    }
}

/// The share of the locked memory limit for each executor's registered buffers: three quarters
/// of it, as rings and buffer rings count too.
fn io_memory(limit: libc::rlimit, cores: usize) -> Result<usize, RuntimeError> {
    let (least, _) = memlock_wanted(cores);
    let cores = u64::try_from(cores).expect("a small number");
    if limit.rlim_cur < least {
        return Err(RuntimeError::Memlock {
            limit: limit.rlim_cur,
            least,
        });
    }
    let share = (limit.rlim_cur / 4).saturating_mul(3) / (RINGS * cores);
    let bytes = share.clamp(LEAST_IO_MEMORY, IO_MEMORY) / 4096 * 4096;
    Ok(usize::try_from(bytes).expect("at most a few MiB"))
}

/// What so many cores need of locked memory to start, and what they would use.
pub(super) fn memlock_wanted(cores: usize) -> (u64, u64) {
    let cores = u64::try_from(cores).expect("a small number");
    let least = LEAST_MEMLOCK.max(LEAST_MEMLOCK_PER_CORE * cores);
    (least, FULL_MEMLOCK_PER_CORE * cores)
}

/// Raises the soft limit on open files to the hard one, as any process may.
fn raise_files() -> Result<u64, RuntimeError> {
    let mut files = limit(libc::RLIMIT_NOFILE)?;
    if files.rlim_cur < files.rlim_max {
        let wanted = libc::rlimit {
            rlim_cur: files.rlim_max,
            rlim_max: files.rlim_max,
        };
        #[expect(unsafe_code, reason = "setrlimit(2) reads a plain struct")]
        // SAFETY: the pointer is to a live struct of the right type.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
            files = wanted;
        }
    }
    if files.rlim_cur < LEAST_FILES {
        return Err(RuntimeError::OpenFiles {
            limit: files.rlim_cur,
            least: LEAST_FILES,
        });
    }
    Ok(files.rlim_cur)
}

/// A path as system calls want it.
pub(super) fn c_path(path: &Path) -> io::Result<std::ffi::CString> {
    Ok(std::ffi::CString::new(path.as_os_str().as_bytes())?)
}

/// The file that each executor makes and closes first on the data directory's device: glommio
/// decides at the first open per thread and device whether to busy-poll it, and decides wrongly
/// for an empty file opened for reading.
pub(super) fn probe_file(data: &Path, core: usize) -> PathBuf {
    data.join(format!("probe-{core:04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(soft: u64) -> libc::rlimit {
        libc::rlimit {
            rlim_cur: soft,
            rlim_max: soft,
        }
    }

    #[test]
    fn registered_memory_follows_the_limit() {
        let mib = |n: u64| n * 1024 * 1024;
        assert_eq!(io_memory(limit_of(u64::MAX), 64).unwrap(), 2 * 1024 * 1024);
        let two = io_memory(limit_of(mib(8)), 2).unwrap();
        assert!(two >= 1024 * 1024 && two * 2 * 3 < 8 * 1024 * 1024, "{two}");
        let (_, full) = memlock_wanted(4);
        assert_eq!(io_memory(limit_of(full), 4).unwrap() as u64, IO_MEMORY);
        assert!((io_memory(limit_of(full - mib(1)), 4).unwrap() as u64) < IO_MEMORY);
        assert_eq!(io_memory(limit_of(mib(8)), 21).unwrap(), 96 * 1024);
        assert!(io_memory(limit_of(mib(8)), 22).is_err());
        let refused = io_memory(limit_of(LEAST_MEMLOCK - 1), 1)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("ulimit -l"), "{refused}");
    }

    #[test]
    fn a_data_directory_is_made_with_what_leads_to_it() {
        let base = std::env::temp_dir().join(format!("leveret-made-{}", std::process::id()));
        let dir = base.join("a/b");
        for _ in 0..2 {
            create_durably(&dir).unwrap();
            assert!(dir.is_dir());
        }
        fs::write(base.join("file"), b"").unwrap();
        assert!(create_durably(&base.join("file/c")).is_err());
        assert!(create_durably(&base.join("file")).is_err());
        fs::remove_dir_all(&base).unwrap();
    }
}
