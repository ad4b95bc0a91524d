//! What this machine and this user's limits offer a broker, for `leveret check`: it looks, judges
//! nothing and changes nothing; a file that it makes to try direct I/O is removed at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::data_dir::Holding;
use super::medium::Medium;
use super::preflight::{self, Needs};
use super::{CpuChoice, RuntimeError, cpus, memory};

/// A limit of the kernel; `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds now.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
    /// What the broker does not start without.
    pub least: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// The CPUs that cores would be pinned to, or why there are none.
    pub cores: Result<Vec<usize>, RuntimeError>,
    /// All CPUs that the process may use.
    pub cpus: Vec<usize>,
    /// Whether the kernel gives a ring.
    pub io_uring: Result<(), RuntimeError>,
    /// Memory that may be locked, bytes.
    pub memlock: Limit,
    /// Locked memory that the cores would use if they were let, bytes.
    pub memlock_full: u64,
    /// Memory that the process may use, bytes; `None` if it cannot be read.
    pub memory: Option<u64>,
    /// Files that may be open.
    pub files: Limit,
    /// Whether a broker may have its data there.
    pub data: Result<(), RuntimeError>,
    /// The data directory, or the directory above it that exists.
    pub dir: PathBuf,
    /// Whether files and memory may grow to what is needed.
    pub limits: Result<(), RuntimeError>,
    /// What it lies on, or why nothing can be written there.
    pub medium: Result<Medium, RuntimeError>,
    /// Bytes free there.
    pub free: Option<u64>,
    /// The device that it is on.
    pub device: Option<Device>,
}

/// A block device's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

impl Survey {
    /// Looks around for a broker with this data directory on these CPUs.
    ///
    /// # Errors
    /// If the kernel does not even tell its limits.
    pub fn take(data: &Path, choice: &CpuChoice, needs: Needs) -> Result<Self, RuntimeError> {
        let cores = choice.resolve();
        let count = cores.as_ref().map_or(1, Vec::len);
        let (least, full) = preflight::memlock_wanted(count);
        let dir = existing(data);
        // Of this process alone: two checks at a time are two files.
        let probe = format!("leveret-check-{}", std::process::id());
        Ok(Self {
            cores,
            limits: preflight::limits_suffice(count, needs)
                .and_then(|()| preflight::threads_start(count)),
            cpus: cpus::allowed()?,
            io_uring: preflight::io_uring_works(),
            memlock: limit(libc::RLIMIT_MEMLOCK, least)?,
            memlock_full: full,
            memory: memory::usable(),
            files: limit(libc::RLIMIT_NOFILE, preflight::LEAST_FILES)?,
            data: Holding::at(data).and_then(|holding| holding.may_serve(data)),
            medium: Medium::of(&dir, &probe),
            free: free(&dir),
            device: fs::metadata(&dir).ok().map(|meta| Device {
                major: libc::major(meta.dev()),
                minor: libc::minor(meta.dev()),
            }),
            dir,
        })
    }
}

fn limit(which: libc::__rlimit_resource_t, least: u64) -> Result<Limit, RuntimeError> {
    let limit = preflight::limit(which)?;
    Ok(Limit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
        least,
    })
}

/// The directory itself or the nearest above it.
fn existing(data: &Path) -> PathBuf {
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let found = whole.ancestors().find(|dir| dir.is_dir());
    found.map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn free(dir: &Path) -> Option<u64> {
    let path = preflight::c_path(dir).ok()?;
    #[expect(unsafe_code, reason = "statvfs(2) fills a plain struct")]
    // SAFETY: the path ends in NUL, the struct is plain old data and valid when zero.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut stat) == 0).then_some(stat)
    }?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_looked_at_from_above() {
        let dir = std::env::temp_dir().join(format!("leveret-survey-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let survey = Survey::take(
            &dir.join("not/there"),
            &CpuChoice::First(1),
            Needs::default(),
        )
        .unwrap();
        assert_eq!(survey.dir, dir);
        assert!(survey.medium.is_ok() && survey.free.is_some() && survey.device.is_some());
        assert_eq!(survey.cores.unwrap().len(), 1);
        assert!(survey.memlock.least < survey.memlock_full);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is left");
        fs::remove_dir_all(&dir).unwrap();
    }
}
