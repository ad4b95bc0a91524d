//! Where, when and how a run was made: a number in a document carries the command that makes it
//! again.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What belongs to a figure beside its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    /// As it was typed.
    pub(crate) command: String,
    /// Version of this program.
    pub(crate) version: String,
    /// Seconds since the Unix epoch.
    pub(crate) started: u64,
    /// CPUs, their model, and the kernel.
    pub(crate) machine: String,
}

impl About {
    /// Of this process, now.
    pub(crate) fn now() -> Self {
        let words: Vec<String> = std::env::args().skip(1).map(quoted).collect();
        Self {
            command: format!("leveret-loadgen {}", words.join(" ")),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            machine: machine(
                &std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default(),
                &std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default(),
            ),
        }
    }
}

fn quoted(word: String) -> String {
    if word.is_empty() || word.contains([' ', '\'', '"', '*', '$']) {
        format!("'{}'", word.replace('\'', "'\\''"))
    } else {
        word
    }
}

fn machine(cpuinfo: &str, release: &str) -> String {
    let values = |name: &'static str| {
        cpuinfo
            .lines()
            .filter_map(move |line| line.split_once(':'))
            .filter(move |(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    let count = values("processor").count();
    let model = values("model name").next().unwrap_or("unknown model");
    format!("{count} CPUs ({model}), Linux {}", release.trim())
}

/// A time of the Unix epoch as `2026-11-25 22:10 UTC` (days to dates after Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
pub(crate) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is their last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (rest / 3600, rest % 3600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59 UTC");
    }

    #[test]
    fn the_command_can_be_typed_again_and_the_machine_is_named() {
        assert_eq!(quoted("--rate".to_owned()), "--rate");
        assert_eq!(quoted("it's 5".to_owned()), "'it'\\''s 5'");
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\n";
        let named = machine(cpuinfo, "6.1.0\n");
        assert_eq!(named, "2 CPUs (Some CPU), Linux 6.1.0");
    }
}
