//! What the kernel counts of this process, under the names that every Prometheus client uses.

use std::fs;
use std::time::Duration;

/// One look at `/proc/self`. A file that cannot be read leaves its figure out.
pub(super) struct Process {
    /// User and system time.
    pub(super) cpu: Option<Duration>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
}

impl Process {
    pub(super) fn look() -> Self {
        let files = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64);
        Self {
            cpu: fs::read_to_string("/proc/self/stat")
                .ok()
                .and_then(|stat| cpu(&stat)),
            resident_bytes: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|status| resident(&status)),
            // Less the one that reads the directory.
            open_files: files.ok().map(|count| count.saturating_sub(1)),
        }
    }
}

/// User and system time: the 14th and 15th field of proc_pid_stat(5), counted from behind the
/// name in parentheses.
fn cpu(stat: &str) -> Option<Duration> {
    /// Ticks a second in every interface to user space, on every architecture that we know.
    const USER_HZ: u64 = 100;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let ticks: u64 = times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / USER_HZ))
}

fn first(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(first(line)? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let seen = Process::look();
        assert!(seen.resident_bytes.unwrap() > 1 << 20);
        assert!(seen.open_files.unwrap() >= 3);
        assert!(seen.cpu.is_some());
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 25 13 14";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu("7 (a) S 1"), None);
        assert_eq!(resident("Name:\tx\nVmRSS:\t  12 kB\n"), Some(12 << 10));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
