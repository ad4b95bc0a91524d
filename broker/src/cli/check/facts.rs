//! What the kernel's files say, as text; a file that is not there is `None`.

use std::fs;
use std::path::Path;

use leveret_broker::runtime::survey::{Device, Survey};

/// The contents of the files that are looked at, trimmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The kernel's release, such as `6.12.5-amd64`.
    pub(super) release: Option<String>,
    /// The governor of each CPU.
    pub(super) governors: Vec<String>,
    /// As it is written: `always [madvise] never`.
    pub(super) huge_pages: Option<String>,
    pub(super) clock: Option<String>,
    pub(super) somaxconn: Option<String>,
    pub(super) syn_backlog: Option<String>,
    /// Least, default and largest send buffer.
    pub(super) tcp_wmem: Option<String>,
    /// The same for receiving.
    pub(super) tcp_rmem: Option<String>,
    pub(super) mount: Option<Mount>,
    /// Of the data directory's device.
    pub(super) write_cache: Option<String>,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: String,
    /// Its type, such as `ext4`.
    pub(super) kind: String,
    /// Options of the mount and of the file system, with commas.
    pub(super) options: String,
}

impl Facts {
    pub(super) fn read(survey: &Survey) -> Self {
        let cpu = |cpu: &usize| {
            read(format!(
                "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
            ))
        };
        let mounts = read("/proc/self/mountinfo").unwrap_or_default();
        Self {
            release: read("/proc/sys/kernel/osrelease"),
            governors: survey.cpus.iter().filter_map(cpu).collect(),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled"),
            clock: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            somaxconn: read("/proc/sys/net/core/somaxconn"),
            syn_backlog: read("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
            tcp_wmem: read("/proc/sys/net/ipv4/tcp_wmem"),
            tcp_rmem: read("/proc/sys/net/ipv4/tcp_rmem"),
            mount: survey.device.and_then(|device| Mount::of(device, &mounts)),
            write_cache: survey.device.and_then(write_cache),
        }
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// A partition has no queue of its own: its disk has, one folder above.
fn write_cache(device: Device) -> Option<String> {
    let node = format!("/sys/dev/block/{}:{}", device.major, device.minor);
    // Resolved first: the folder above a link is not the disk's.
    let node = fs::canonicalize(node).ok()?;
    read(node.join("queue/write_cache")).or_else(|| read(node.parent()?.join("queue/write_cache")))
}

impl Mount {
    /// The mount of a device among the lines of proc_pid_mountinfo(5); the last one if it is
    /// mounted several times, which is as good as any.
    fn of(device: Device, mounts: &str) -> Option<Self> {
        let wanted = format!("{}:{}", device.major, device.minor);
        let line = mounts
            .lines()
            .rfind(|line| line.split(' ').nth(2) == Some(wanted.as_str()))?;
        let (front, back) = line.split_once(" - ")?;
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        Some(Self {
            point: (*front.get(4)?).to_owned(),
            kind: (*back.first()?).to_owned(),
            options: format!("{},{}", front.get(5)?, back.last()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                      27 1 8:1 / /data rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw,nobarrier\n";
        let device = Device { major: 8, minor: 1 };
        let mount = Mount::of(device, mounts).expect("it is there");
        assert_eq!(
            (mount.point.as_str(), mount.kind.as_str()),
            ("/data", "ext4")
        );
        assert_eq!(mount.options, "rw,noatime,rw,nobarrier");
        assert_eq!(Mount::of(Device { major: 8, minor: 2 }, mounts), None);
    }
}
