//! The data directory: whether it can be written, what its file system and device promise.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use leveret_broker::config::{SettingValue, Settings};
use leveret_broker::runtime::survey::Survey;
use leveret_broker::runtime::{Medium, RuntimeError};
use leveret_broker::server;

use super::super::output::size;
use super::facts::{Facts, Mount};
use super::{Finding, Verdict};

const DIRECT_IO: &str = "direct I/O";
const ON_A_DISK: &str = "a file system with O_DIRECT on a disk of this machine";

pub(super) fn findings(settings: &Settings, survey: &Survey, facts: &Facts) -> Vec<Finding> {
    let dir = survey.dir.display().to_string();
    vec![
        place(&survey.data, settings),
        match (&survey.data, &survey.medium) {
            // What forbids to look at the directory is one fault, and told above.
            (Err(_), Err(_)) => Finding::new(DIRECT_IO, "not looked at", ON_A_DISK)
                .but(Verdict::Unknown, "see `data directory`"),
            (_, medium) => durability(medium, &dir, settings.disk_require_direct),
        },
        mount(facts.mount.as_ref()),
        write_cache(facts.write_cache.as_deref()),
        room(settings, survey),
    ]
}

fn place(data: &Result<(), RuntimeError>, settings: &Settings) -> Finding {
    let name = "data directory";
    let wanted = "the directory of a broker, an empty one, or one that is yet to be made";
    match data {
        Ok(()) => Finding::new(name, settings.data.display().to_string(), wanted),
        Err(error) => {
            let remedy =
                "give `data` a directory that this user may use and that is a broker's alone";
            Finding::new(name, error.to_string(), wanted).but(Verdict::Fatal, remedy)
        }
    }
}

fn durability(medium: &Result<Medium, RuntimeError>, dir: &str, required: bool) -> Finding {
    let (name, wanted) = (DIRECT_IO, ON_A_DISK);
    let medium = match medium {
        Ok(medium) => medium,
        Err(error) => {
            let remedy = "put `data` where this user may write, on a local disk with ext4 or xfs";
            return Finding::new(name, error.to_string(), wanted).but(Verdict::Fatal, remedy);
        }
    };
    let file_system = &medium.file_system;
    let Some(doubt) = &medium.doubt else {
        return Finding::new(name, format!("works in {dir}: {file_system}"), wanted);
    };
    let level = server::true_level(medium.level).written();
    let found = format!("{dir}: {file_system}, acknowledges up to `{level}`: {doubt}");
    let verdict = if required {
        Verdict::Fatal
    } else {
        Verdict::Advice
    };
    Finding::new(name, found, wanted).but(verdict, "put `data` on a local disk with ext4 or xfs")
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
    Finding::new(name, format!("{kind} at {point} ({options})"), wanted)
}

fn write_cache(cache: Option<&str>) -> Finding {
    let name = "write cache";
    let wanted = "write through: none, or one that survives a power cut";
    match cache {
        Some("write through") => Finding::new(name, "write through", wanted),
        Some(cache) => {
            let remedy = "nothing has to be done for safety, since each durable write flushes the cache; a \
                          device with power loss protection saves that time";
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
    let room = Room {
        journals: settings.journal_bytes.0.saturating_mul(cores),
        here: taken_in(&settings.data.join("journal")),
        floor: settings.disk_floor_bytes.0,
    };
    room.judge(name, survey.free)
}

/// Bytes that the file system holds for the files of a folder; 0 if there is none.
fn taken_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok());
    files.map(|file| file.blocks() * 512).sum()
}

/// What a start takes of the file system, bytes.
struct Room {
    /// All cores' journals, as they are set.
    journals: u64,
    /// What the journals there already have; 0: there are none.
    here: u64,
    floor: u64,
}

impl Room {
    fn judge(&self, name: &'static str, free: Option<u64>) -> Finding {
        // The first start sets its journals aside and keeps them; a later one writes again what is
        // live in them, and gives as much back.
        let (start, needed, why) = match self.here {
            0 => (
                self.journals,
                self.journals.saturating_add(self.floor),
                "the journals",
            ),
            here => (
                here,
                here.max(self.floor),
                "what a start writes again of the journals, at most",
            ),
        };
        let wanted = format!(
            "more than {} ({why}: {}, `disk.floor.bytes`: {})",
            size(needed),
            size(start),
            size(self.floor)
        );
        let Some(free) = free else {
            let finding = Finding::new(name, "cannot be read here", wanted);
            return finding.but(Verdict::Unknown, "look at `df` for the data directory");
        };
        let finding = Finding::new(name, size(free), wanted);
        if free >= needed && self.floor == 0 {
            let remedy = "set `disk.floor.bytes`: with 0 nothing is kept free, and a start after a crash may \
                          find no room; with any floor, what a start needs is kept free";
            finding.but(Verdict::Advice, remedy)
        } else if free >= needed {
            finding
        } else if free >= start {
            let remedy =
                "free some space, or lower `journal.bytes`: below the floor producing stops";
            finding.but(Verdict::Advice, remedy)
        } else if self.here == 0 {
            let remedy = "free some space, or lower `journal.bytes`: the broker cannot start";
            finding.but(Verdict::Fatal, remedy)
        } else {
            let remedy = "free some space: a start that finds more live in the journals than is free says \
                          what it needs, and ends";
            finding.but(Verdict::Advice, remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_broker::runtime::TrueLevel;

    use super::*;

    #[test]
    fn a_start_that_may_lack_room_is_foretold() {
        let with_floor = |floor, here, free| {
            let room = Room {
                journals: 1000,
                here,
                floor,
            };
            room.judge("free space", Some(free)).verdict
        };
        let judge = |here, free| with_floor(300, here, free);
        assert_eq!(judge(0, 999), Verdict::Fatal);
        assert_eq!(judge(0, 1299), Verdict::Advice);
        assert_eq!(judge(0, 1300), Verdict::Ok);
        // What is there already needs no second ring.
        assert_eq!(judge(500, 500), Verdict::Ok);
        assert_eq!(judge(500, 499), Verdict::Advice);
        assert_eq!(judge(100, 299), Verdict::Advice);
        assert_eq!(with_floor(1, 0, 5000), Verdict::Ok);
        assert_eq!(with_floor(0, 0, 5000), Verdict::Advice);
    }

    #[test]
    fn memory_is_advice_unless_direct_io_is_required() {
        let medium = |level, doubt: Option<&str>| {
            Ok(Medium {
                file_system: "some".to_owned(),
                level,
                doubt: doubt.map(str::to_owned),
            })
        };
        for level in [TrueLevel::PageCache, TrueLevel::Written] {
            let medium = medium(level, Some("it is gone"));
            let advice = durability(&medium, "/x", false);
            assert_eq!(advice.verdict, Verdict::Advice);
            assert!(advice.found.contains("it is gone"), "{advice:?}");
            assert_eq!(durability(&medium, "/x", true).verdict, Verdict::Fatal);
        }
        let none = Err(RuntimeError::NoDirectIo("/x".into()));
        assert_eq!(durability(&none, "/x", false).verdict, Verdict::Fatal);
        let disk = medium(TrueLevel::Durable, None);
        assert_eq!(durability(&disk, "/x", true).verdict, Verdict::Ok);
        assert_eq!(mount(None).verdict, Verdict::Unknown);
        assert_eq!(write_cache(Some("write back")).verdict, Verdict::Advice);
    }
}
