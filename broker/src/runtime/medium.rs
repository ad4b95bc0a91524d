//! What a data directory truly lies on, and so what a sync is worth there: the file system of the
//! directory and of the folders in it (which may be links to other places), and what is below it,
//! an overlay's upper directory or the devices that a device is made of, as far down as it can be
//! seen. Where something cannot be seen, it says so, and does not take it for durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::RuntimeError;
use super::preflight::c_path;

/// What an acknowledgement at level `synced` truly means, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrueLevel {
    /// Bytes stay in this machine's memory (tmpfs): they survive the process, nothing more.
    PageCache,
    /// Bytes are handed on, and it cannot be known from here that a sync makes them durable, or
    /// it is known that syncs are switched off.
    Written,
    /// A sync reaches a device.
    Durable,
}

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// In words that an operator knows, such as `ext4 on /dev/sda1`.
    pub file_system: String,
    /// What it can promise.
    pub level: TrueLevel,
    /// Why that is less than durable, if it is: half a sentence.
    pub doubt: Option<String>,
}

/// In this machine's memory.
const MEMORY: [&str; 4] = ["tmpfs", "ramfs", "devtmpfs", "hugetlbfs"];
/// On block devices of this machine, with syncs that reach them.
const LOCAL: [&str; 10] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "nilfs2",
];
/// Devices in this machine's memory, by the beginning of their names.
const MEMORY_DEVICES: [&str; 3] = ["ram", "zram", "nullb"];
/// Devices of other machines.
const REMOTE_DEVICES: [&str; 3] = ["nbd", "rbd", "drbd"];
/// Layers that are looked through.
const DEEPEST: u32 = 8;

impl Medium {
    /// What a data directory lies on, which must exist; `probe` is the name of a file that is
    /// made there for a moment.
    ///
    /// # Errors
    /// [`RuntimeError::NoDirectIo`] if its files cannot be opened for direct I/O,
    /// [`RuntimeError::DataDir`] if it cannot be used.
    pub fn of(data: &Path, probe: &str) -> Result<Self, RuntimeError> {
        let failed = |source| RuntimeError::DataDir {
            path: data.to_owned(),
            source,
        };
        let mut medium = look(data, 0).map_err(failed)?;
        for folder in folders(data).map_err(failed)? {
            let inner = look(&folder, 0).map_err(failed)?;
            if inner.level < medium.level {
                let file_system = format!("{} at {}", inner.file_system, folder.display());
                medium = Self {
                    file_system,
                    ..inner
                };
            }
        }
        if syncs_are_faked() {
            let doubt = "libeatmydata makes syncs do nothing".to_owned();
            medium = medium.at_most(TrueLevel::Written, doubt);
        }
        open_directly(data, probe)?;
        Ok(medium)
    }

    fn new(file_system: impl Into<String>) -> Self {
        Self {
            file_system: file_system.into(),
            level: TrueLevel::Durable,
            doubt: None,
        }
    }

    /// The same, promising no more than this.
    fn at_most(self, level: TrueLevel, doubt: String) -> Self {
        if self.level <= level {
            return self;
        }
        Self {
            level,
            doubt: Some(doubt),
            ..self
        }
    }

    /// The same, on top of something else.
    fn over(self, below: Result<Self, String>) -> Self {
        match below {
            Ok(below) => Self {
                file_system: format!("{} over {}", self.file_system, below.file_system),
                ..self
            }
            .at_most(below.level, below.doubt.unwrap_or_default()),
            Err(unseen) => self.at_most(TrueLevel::Written, unseen),
        }
    }
}

/// Folders in the directory, and links to some; those that cannot be looked at will be met later.
fn folders(data: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(data)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.is_dir()).collect())
}

/// What a directory or file is on.
fn look(path: &Path, depth: u32) -> io::Result<Medium> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    if is_memory_file_system(path)? {
        return Ok(in_memory("tmpfs"));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = mount_id(&file).and_then(|id| Mount::find(&mounts, id));
    Ok(match mount {
        Some(mount) => mount.medium(path, depth),
        None => Medium::new("an unknown file system").at_most(
            TrueLevel::Written,
            "its mount is not listed in /proc/self/mountinfo".to_owned(),
        ),
    })
}

fn in_memory(what: &str) -> Medium {
    let doubt = format!("{what} keeps everything in memory");
    Medium::new(what).at_most(TrueLevel::PageCache, doubt)
}

/// The mount that an open file is on.
fn mount_id(file: &File) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

/// A line of proc_pid_mountinfo(5).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Its number, `major:minor`.
    device: String,
    kind: String,
    source: String,
    /// Of the mount and of the file system.
    options: Vec<String>,
}

impl Mount {
    fn find(mounts: &str, id: u64) -> Option<Self> {
        let of_id = |line: &&str| line.split(' ').next().and_then(|n| n.parse().ok()) == Some(id);
        let (front, back) = mounts.lines().find(of_id)?.split_once(" - ")?;
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        let options = front.get(5)?.split(',').chain(back.get(2)?.split(','));
        Some(Self {
            device: (*front.get(2)?).to_owned(),
            kind: (*back.first()?).to_owned(),
            source: unescaped(back.get(1)?),
            options: options.map(unescaped).collect(),
        })
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }

    /// What it can promise; `path` is a place on it.
    fn medium(&self, path: &Path, depth: u32) -> Medium {
        let kind = self.kind.as_str();
        if MEMORY.contains(&kind) {
            return in_memory(kind);
        }
        if depth >= DEEPEST {
            let doubt = "what is below cannot be followed further".to_owned();
            return Medium::new(kind).at_most(TrueLevel::Written, doubt);
        }
        if kind == "overlay" {
            return self.overlay(path, depth);
        }
        let medium = Medium::new(format!("{kind} on {}", self.source));
        if !LOCAL.contains(&kind) {
            let doubt = format!("what a sync means on {kind} cannot be known from here");
            return medium.at_most(TrueLevel::Written, doubt);
        }
        if self.has("nobarrier") || self.has("barrier=0") {
            let doubt = "it is mounted with nobarrier: a sync does not reach the medium".to_owned();
            return medium.at_most(TrueLevel::Written, doubt);
        }
        match self.block_device() {
            Some(below) => {
                let below = device(&below, depth + 1);
                medium.at_most(below.level, below.doubt.unwrap_or_default())
            }
            // A file system of this kind has a device, whether or not it is shown here.
            None => medium,
        }
    }

    /// Files are written to the upper directory, wherever that is.
    fn overlay(&self, path: &Path, depth: u32) -> Medium {
        let medium = Medium::new("overlay");
        if self.has("volatile") {
            let doubt = "the overlay is mounted volatile: syncs are left out".to_owned();
            return medium.at_most(TrueLevel::PageCache, doubt);
        }
        let upper = self
            .options
            .iter()
            .find_map(|o| o.strip_prefix("upperdir="));
        let unseen = || "where the overlay's files are kept cannot be seen from here".to_owned();
        let below = upper.map(Path::new).filter(|upper| {
            // The path is the one of whoever mounted it; an overlay tells the sizes of what is
            // below, which must be those of what the path leads to here.
            matches!((sizes(path), sizes(upper)), (Ok(over), Ok(under)) if over == under)
        });
        medium.over(
            below
                .ok_or_else(unseen)
                .and_then(|upper| look(upper, depth + 1).map_err(|_| unseen())),
        )
    }

    /// Its device's folder in /sys.
    fn block_device(&self) -> Option<PathBuf> {
        let by_number = |number: &str| fs::canonicalize(format!("/sys/dev/block/{number}")).ok();
        // Some file systems have a number of their own, and name the device.
        by_number(&self.device).or_else(|| {
            let node = fs::metadata(&self.source).ok()?.rdev();
            by_number(&format!("{}:{}", libc::major(node), libc::minor(node)))
        })
    }
}

/// What a block device is, by its folder in /sys.
fn device(folder: &Path, depth: u32) -> Medium {
    let folder = if folder.join("partition").exists() {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let medium = Medium::new(format!("/dev/{name}"));
    let numbered = |kind: &&str| {
        let number = name.strip_prefix(*kind);
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    if MEMORY_DEVICES.iter().any(numbered) {
        let doubt = format!("its device {name} keeps everything in memory");
        return medium.at_most(TrueLevel::PageCache, doubt);
    }
    if REMOTE_DEVICES.iter().any(numbered) {
        let doubt = format!("its device {name} is another machine's");
        return medium.at_most(TrueLevel::Written, doubt);
    }
    if depth >= DEEPEST {
        return medium;
    }
    if let Ok(file) = fs::read_to_string(folder.join("loop/backing_file")) {
        let unseen = |_| format!("the file behind its device {name} cannot be seen from here");
        return medium.over(look(Path::new(file.trim_end()), depth + 1).map_err(unseen));
    }
    let parts = fs::read_dir(folder.join("slaves")).into_iter().flatten();
    let parts = parts.filter_map(|part| fs::canonicalize(part.ok()?.path()).ok());
    let weakest = parts
        .map(|part| device(&part, depth + 1))
        .min_by_key(|part| part.level);
    match weakest {
        Some(part) => medium.over(Ok(part)),
        None => medium,
    }
}

/// Whether a library has been put before the C library that makes syncs do nothing. The ring's are
/// not touched by it, those of directories are.
fn syncs_are_faked() -> bool {
    fs::read_to_string("/proc/self/maps").is_ok_and(|maps| maps.contains("libeatmydata"))
}

/// `\040` and the like, as the kernel writes spaces.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| byte == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes a file for direct I/O and removes it.
fn open_directly(data: &Path, probe: &str) -> Result<(), RuntimeError> {
    let failed = |source| RuntimeError::DataDir {
        path: data.to_owned(),
        source,
    };
    // tmpfs may refuse the flag, which the driver then leaves away.
    if is_memory_file_system(data).map_err(failed)? {
        return Ok(());
    }
    let probe = data.join(probe);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(&probe);
    let removed = fs::remove_file(&probe);
    match opened {
        Ok(_) => removed.map_err(failed),
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            Err(RuntimeError::NoDirectIo(data.to_owned()))
        }
        Err(e) => Err(failed(e)),
    }
}

/// By its number, which needs no /proc.
fn is_memory_file_system(path: &Path) -> io::Result<bool> {
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    let kind = stat_of(path)?.f_type;
    Ok(kind == libc::TMPFS_MAGIC || kind == RAMFS_MAGIC)
}

/// How large a file system is, in its own units: an overlay has those of what is below it.
fn sizes(path: &Path) -> io::Result<(i64, u64, u64)> {
    let stat = stat_of(path)?;
    Ok((stat.f_bsize, stat.f_blocks, stat.f_files))
}

fn stat_of(path: &Path) -> io::Result<libc::statfs> {
    let path = c_path(path)?;
    #[expect(unsafe_code, reason = "statfs(2) fills a plain struct")]
    // SAFETY: the path ends in NUL, the struct is plain old data and valid when zero.
    unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        if libc::statfs(path.as_ptr(), &raw mut stat) == 0 {
            Ok(stat)
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_apart_from_a_disk() {
        let dir = std::env::temp_dir().join(format!("leveret-medium-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let disk = Medium::of(&dir, "probe").unwrap();
        if Path::new("/dev/shm").is_dir() {
            let shared = Medium::of(Path::new("/dev/shm"), "probe").unwrap();
            assert_eq!(shared.level, TrueLevel::PageCache);
            assert!(shared.doubt.is_some_and(|doubt| doubt.contains("tmpfs")));
            // Where a folder leads counts, not where it stands.
            std::os::unix::fs::symlink("/dev/shm", dir.join("journal")).unwrap();
            let led = Medium::of(&dir, "probe").unwrap();
            assert_eq!(led.level, TrueLevel::PageCache);
            assert!(led.file_system.contains("journal"), "{led:?}");
            assert_ne!(disk.level, TrueLevel::PageCache, "{disk:?}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_a_mount_can_promise_follows_from_its_line() {
        let of = |kind: &str, options: &str| {
            let line =
                format!("7 1 0:99 / /a\\040b rw,{options} shared:1 - {kind} some\\040where rw\n");
            let mount = Mount::find(&line, 7).expect("it is there");
            assert_eq!(mount.source, "some where");
            mount.medium(Path::new("/nowhere"), 0)
        };
        for kind in MEMORY {
            assert_eq!(of(kind, "noatime").level, TrueLevel::PageCache, "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs"] {
            assert_eq!(of(kind, "noatime").level, TrueLevel::Durable, "{kind}");
            let barriers = of(kind, "nobarrier");
            assert_eq!(barriers.level, TrueLevel::Written);
            assert!(barriers.doubt.is_some());
        }
        for kind in ["nfs4", "fuse.sshfs", "9p", "virtiofs", "something"] {
            let medium = of(kind, "noatime");
            assert_eq!(medium.level, TrueLevel::Written, "{kind}");
            assert!(medium.doubt.unwrap().contains(kind));
        }
        assert_eq!(of("overlay", "upperdir=/gone").level, TrueLevel::Written);
        assert_eq!(of("overlay", "volatile").level, TrueLevel::PageCache);
        assert_eq!(Mount::find("7 1 0:99 / / rw - ext4 x rw\n", 8), None);
    }

    #[test]
    fn a_device_is_what_its_parts_are() {
        let base = std::env::temp_dir().join(format!("leveret-devices-{}", std::process::id()));
        let folder = |name: &str| {
            let path = base.join(name);
            fs::create_dir_all(path.join("slaves")).unwrap();
            path
        };
        assert_eq!(device(&folder("sda"), 0).level, TrueLevel::Durable);
        assert_eq!(device(&folder("zram0"), 0).level, TrueLevel::PageCache);
        assert_eq!(device(&folder("nbd3"), 0).level, TrueLevel::Written);
        let mapped = folder("dm-0");
        for part in ["sda", "zram0"] {
            let link = mapped.join("slaves").join(part);
            std::os::unix::fs::symlink(base.join(part), link).unwrap();
        }
        assert_eq!(device(&mapped, 0).level, TrueLevel::PageCache);
        let looped = folder("loop0");
        fs::create_dir(looped.join("loop")).unwrap();
        let behind = |file: &str| fs::write(looped.join("loop/backing_file"), file).unwrap();
        behind("/gone/from/here\n");
        assert_eq!(device(&looped, 0).level, TrueLevel::Written);
        if Path::new("/dev/shm").is_dir() {
            behind("/dev/shm\n");
            assert_eq!(device(&looped, 0).level, TrueLevel::PageCache);
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
