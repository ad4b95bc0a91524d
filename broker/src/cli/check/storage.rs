//! The data directory: whether it can be written, what its file system and device promise.

use leveret_broker::config::Settings;
use leveret_broker::runtime::survey::Survey;
use leveret_broker::runtime::{RuntimeError, TrueLevel};

use super::super::output::size;
use super::facts::{Facts, Mount};
use super::{Finding, Verdict};

/// File systems whose promises are another machine's, or another layer's.
const REMOTE: [&str; 8] = [
    "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "overlay",
];

pub(super) fn findings(settings: &Settings, survey: &Survey, facts: &Facts) -> Vec<Finding> {
    let dir = survey.dir.display().to_string();
    vec![
        direct_io(&survey.level, &dir, settings.disk_require_direct),
        mount(facts.mount.as_ref()),
        write_cache(facts.write_cache.as_deref()),
        room(settings, survey),
    ]
}

fn direct_io(level: &Result<TrueLevel, RuntimeError>, dir: &str, required: bool) -> Finding {
    let name = "direct I/O";
    let wanted = "a file system with O_DIRECT";
    match level {
        Ok(TrueLevel::Durable) => Finding::new(name, format!("works in {dir}"), wanted),
        Ok(TrueLevel::PageCache) => {
            let found = format!("{dir} is in memory only: nothing there survives a power cut");
            let verdict = if required {
                Verdict::Fatal
            } else {
                Verdict::Advice
            };
            let remedy = "put `data` on a local disk with ext4 or xfs";
            Finding::new(name, found, wanted).but(verdict, remedy)
        }
        Err(error) => {
            let remedy = "put `data` where this user may write, on a local disk with ext4 or xfs";
            Finding::new(name, error.to_string(), wanted).but(Verdict::Fatal, remedy)
        }
    }
}

fn mount(mount: Option<&Mount>) -> Finding {
    let name = "file system";
    let wanted = "a local one that keeps write barriers";
    let Some(mount) = mount else {
        let finding = Finding::new(name, "its mount is not listed", wanted);
        return finding.but(
            Verdict::Unknown,
            "look at `findmnt -T` for the data directory",
        );
    };
    let Mount {
        point,
        kind,
        options,
    } = mount;
    let barriers_off = options
        .split(',')
        .any(|option| matches!(option, "nobarrier" | "barrier=0"));
    let finding = Finding::new(name, format!("{kind} at {point} ({options})"), wanted);
    if barriers_off {
        let remedy =
            "mount it without nobarrier: a sync does not reach the device's medium with it";
        finding.but(Verdict::Advice, remedy)
    } else if REMOTE.contains(&kind.as_str()) || kind.starts_with("fuse") {
        let remedy = "put `data` on a local disk: what a sync means here is decided elsewhere";
        finding.but(Verdict::Advice, remedy)
    } else {
        finding
    }
}

fn write_cache(cache: Option<&str>) -> Finding {
    let name = "write cache";
    let wanted = "write through: none, or one that survives a power cut";
    match cache {
        Some("write through") => Finding::new(name, "write through", wanted),
        Some(cache) => {
            let remedy = "none is needed for safety: each durable write flushes it, which costs \
                          time; a device with power loss protection does not have to";
            Finding::new(name, cache, wanted).but(Verdict::Advice, remedy)
        }
        None => {
            let finding = Finding::new(name, "cannot be read here", wanted);
            finding.but(
                Verdict::Unknown,
                "look at /sys/block/*/queue/write_cache on the host",
            )
        }
    }
}

fn room(settings: &Settings, survey: &Survey) -> Finding {
    let name = "free space";
    let cores = survey.cores.as_ref().map_or(1, Vec::len) as u64;
    let journals = settings.journal_bytes.0.saturating_mul(cores);
    let floor = settings.disk_floor_bytes.0;
    let needed = journals.saturating_add(floor);
    let wanted = format!(
        "more than {} (journals {}, `disk.floor.bytes` {})",
        size(needed),
        size(journals),
        size(floor)
    );
    match survey.free {
        None => Finding::new(name, "cannot be read here", wanted)
            .but(Verdict::Unknown, "look at `df` for the data directory"),
        Some(free) if free > needed => Finding::new(name, size(free), wanted),
        Some(free) => Finding::new(name, size(free), wanted).but(
            Verdict::Advice,
            "free some, or lower `journal.bytes`: below the floor producing stops",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_advice_unless_direct_io_is_required() {
        let level = Ok(TrueLevel::PageCache);
        assert_eq!(direct_io(&level, "/x", false).verdict, Verdict::Advice);
        assert_eq!(direct_io(&level, "/x", true).verdict, Verdict::Fatal);
        let none = Err(RuntimeError::NoDirectIo("/x".into()));
        assert_eq!(direct_io(&none, "/x", false).verdict, Verdict::Fatal);
        assert_eq!(
            direct_io(&Ok(TrueLevel::Durable), "/x", true).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn mounts_that_promise_less_are_named() {
        let of = |kind: &str, options: &str| {
            let mounted = Mount {
                point: "/".to_owned(),
                kind: kind.to_owned(),
                options: options.to_owned(),
            };
            mount(Some(&mounted)).verdict
        };
        assert_eq!(of("ext4", "rw,relatime"), Verdict::Ok);
        assert_eq!(of("ext4", "rw,nobarrier"), Verdict::Advice);
        assert_eq!(of("nfs4", "rw"), Verdict::Advice);
        assert_eq!(of("fuse.sshfs", "rw"), Verdict::Advice);
        assert_eq!(mount(None).verdict, Verdict::Unknown);
        assert_eq!(write_cache(Some("write back")).verdict, Verdict::Advice);
    }
}
