//! How much memory the process may use: the least of what the machine has and what it is let.

use std::fs;
use std::path::{Path, PathBuf};

use super::preflight;

/// Where the kernel shows control groups; those of version 1 have a folder for each controller.
const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes that this process may use, as far as the kernel says: of the machine's memory, the limits
/// of its control group and of those above it, and the limit on its address space. `None` if not even the
/// machine's memory can be read.
#[must_use]
pub fn usable() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = total(&machine?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups);
    let limits = limits.iter().filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        // `max` is none.
        text.trim().parse().ok()
    });
    let space = preflight::limit(libc::RLIMIT_AS).map_or(u64::MAX, |limit| limit.rlim_cur);
    Some(limits.fold(machine.min(space), u64::min))
}

/// Bytes of memory that the machine has, of proc_meminfo(5).
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that limit the memory of a process whose cgroups(7) are these: of its group and of each
/// above it.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, names): (_, &[&str]) = if controllers.is_empty() {
            (Path::new(GROUPS).to_owned(), &["memory.max", "memory.high"])
        } else if controllers.split(',').any(|one| one == "memory") {
            let root = Path::new(GROUPS).join("memory");
            (root, &["memory.limit_in_bytes"])
        } else {
            continue;
        };
        let group = Path::new(path.trim_start_matches('/'));
        let folders = group.ancestors().map(|above| root.join(above));
        files.extend(folders.flat_map(|folder| names.iter().map(move |name| folder.join(name))));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_limited_by_all_above_it() {
        let files = limit_files("0::/system.slice/leveret.service\n");
        let shown: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        assert_eq!(
            shown,
            [
                "/sys/fs/cgroup/system.slice/leveret.service/memory.max",
                "/sys/fs/cgroup/system.slice/leveret.service/memory.high",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/system.slice/memory.high",
                "/sys/fs/cgroup/memory.max",
                "/sys/fs/cgroup/memory.high",
            ]
        );
    }

    #[test]
    fn of_the_first_version_only_the_controller_of_memory_counts() {
        let files = limit_files("5:devices:/a\n4:memory:/b\nodd\n");
        let folder = Path::new("/sys/fs/cgroup/memory");
        let name = "memory.limit_in_bytes";
        assert_eq!(files, [folder.join("b").join(name), folder.join(name)]);
    }

    #[test]
    fn the_machine_tells_its_memory() {
        assert_eq!(
            total("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(total("nothing"), None);
        let usable = usable().expect("Linux");
        assert!(usable >= 16 << 20, "{usable}");
    }
}
