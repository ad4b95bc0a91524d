//! Kernel, limits, CPUs and network.

use leveret_broker::config::Settings;
use leveret_broker::runtime::RuntimeError;
use leveret_broker::runtime::survey::{Limit, Survey};
use leveret_broker::server;

use super::super::output::size;
use super::facts::Facts;
use super::{Finding, Verdict};

/// Connections that the broker lets the kernel keep ready per listener.
const BACKLOG: u64 = 1024;
/// Largest socket buffer that lets one connection over a network carry a gigabit at 20 ms.
const SOCKET_BUFFER: u64 = 4 << 20;
/// Descriptors that the broker keeps back per core and for files of its storage.
const FILES_PER_CORE: u64 = 1024 + 16;
const FILES_KEPT: u64 = 64;

pub(super) fn findings(settings: &Settings, survey: &Survey, facts: &Facts) -> Vec<Finding> {
    let cores = survey.cores.as_ref().map_or(1, Vec::len) as u64;
    let files = u64::from(settings.connections_max) + FILES_KEPT + FILES_PER_CORE * cores;
    let mut all = vec![
        kernel(facts.release.as_deref()),
        io_uring(&survey.io_uring),
        cpus(survey),
        spare_cpu(survey),
        memlock(survey.memlock, survey.memlock_full),
        memory(settings, survey.memory, cores),
        open_files(survey.files, files),
        limits(&survey.limits),
        governor(&facts.governors),
        clock(facts.clock.as_deref()),
        huge_pages(facts.huge_pages.as_deref()),
    ];
    let sysctls = [
        ("net.core.somaxconn", &facts.somaxconn, BACKLOG),
        ("tcp_max_syn_backlog", &facts.syn_backlog, BACKLOG),
        ("tcp_wmem", &facts.tcp_wmem, SOCKET_BUFFER),
        ("tcp_rmem", &facts.tcp_rmem, SOCKET_BUFFER),
    ];
    all.extend(sysctls.map(|(name, found, least)| sysctl(name, found.as_deref(), least)));
    all
}

fn unknown(name: &'static str, wanted: &str, file: &str) -> Finding {
    let finding = Finding::new(name, "cannot be read here", wanted);
    finding.but(Verdict::Unknown, format!("look at {file} on the host"))
}

fn kernel(release: Option<&str>) -> Finding {
    const WANTED: &str = "6.0 or later";
    let Some(release) = release else {
        return unknown("kernel", WANTED, "/proc/sys/kernel/osrelease");
    };
    let finding = Finding::new("kernel", release, WANTED);
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), _) if major >= 6 => finding,
        (Some(Ok(_)), _) => {
            let remedy = "install a kernel of 6.0 or later; older ones lack io_uring operations \
                          that the sockets need";
            finding.but(Verdict::Fatal, remedy)
        }
        _ => finding.but(Verdict::Unknown, "make sure that it is as new as that"),
    }
}

fn io_uring(outcome: &Result<(), RuntimeError>) -> Finding {
    let wanted = "allowed";
    match outcome {
        Ok(()) => Finding::new("io_uring", "allowed", wanted),
        Err(RuntimeError::IoUring {
            call,
            source,
            remedy,
        }) => {
            let found = format!("{call} is refused: {source}");
            Finding::new("io_uring", found, wanted).but(Verdict::Fatal, *remedy)
        }
        Err(error) => {
            Finding::new("io_uring", error.to_string(), wanted).but(Verdict::Fatal, "see above")
        }
    }
}

fn limits(outcome: &Result<(), RuntimeError>) -> Finding {
    let name = "other limits";
    let wanted = "files, memory and threads as the settings need them";
    match outcome {
        Ok(()) => Finding::new(name, "suffice", wanted),
        Err(error) => Finding::new(name, error.to_string(), wanted).but(
            Verdict::Fatal,
            "raise the limit that is named, or lower the settings that it names",
        ),
    }
}

fn cpus(survey: &Survey) -> Finding {
    let wanted = "the CPUs that the settings ask for";
    match &survey.cores {
        Ok(cores) => {
            let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
            Finding::new("cores", format!("on CPUs {}", list.join(",")), wanted)
        }
        Err(error) => {
            let remedy = "change `cores` or `cpus`, or let the process use more CPUs";
            Finding::new("cores", error.to_string(), wanted).but(Verdict::Fatal, remedy)
        }
    }
}

fn spare_cpu(survey: &Survey) -> Finding {
    let cores = survey.cores.as_deref().unwrap_or_default();
    let spare = survey
        .cpus
        .iter()
        .filter(|cpu| !cores.contains(cpu))
        .count();
    let found = format!("{spare} of {}", survey.cpus.len());
    let finding = Finding::new("spare CPUs", found, "one that no core is pinned to");
    if spare > 0 {
        return finding;
    }
    let remedy = "set `cores` to one less, so that the kernel's workers for disk and network, and \
                  scrapes of metrics, take no time from a core";
    finding.but(Verdict::Advice, remedy)
}

fn shown(limit: u64, unit: fn(u64) -> String) -> String {
    if limit == u64::MAX {
        "no limit".to_owned()
    } else {
        unit(limit)
    }
}

fn memlock(limit: Limit, full: u64) -> Finding {
    let wanted = format!("{} or more; at least {}", size(full), size(limit.least));
    let finding = Finding::new("locked memory", shown(limit.soft, size), wanted);
    let remedy = "set LimitMEMLOCK=infinity in the unit, or raise `ulimit -l` (tuning/limits.conf)";
    held(finding, (limit.soft, limit.least, full), remedy)
}

/// The finding of a limit that is fatal below the least, and better raised below the full.
fn held(finding: Finding, (limit, least, full): (u64, u64, u64), remedy: &'static str) -> Finding {
    if limit < least {
        finding.but(Verdict::Fatal, remedy)
    } else if limit < full {
        finding.but(Verdict::Advice, remedy)
    } else {
        finding
    }
}

/// What the budgets of all cores come to, beside what the process may use.
fn memory(settings: &Settings, usable: Option<u64>, cores: u64) -> Finding {
    const NAME: &str = "memory";
    let per_core = [
        settings.memory_requests_bytes,
        settings.memory_responses_bytes,
        server::cache_size(settings),
    ];
    let budgets = per_core
        .iter()
        .fold(0, |sum: u64, one| sum.saturating_add(one.0));
    let budgets = budgets.saturating_mul(cores);
    let wanted = format!("{}, the sum of the budgets `memory.*`", size(budgets));
    let Some(usable) = usable else {
        return unknown(NAME, &wanted, "/proc/meminfo");
    };
    let cache = size(server::cache_size(settings).0);
    let found = format!(
        "{} may be used, of which {cache} a core are for records",
        size(usable)
    );
    let finding = Finding::new(NAME, found, wanted);
    if budgets <= usable {
        return finding;
    }
    let remedy = "lower `memory.cache.bytes`, `memory.responses.bytes` or `memory.requests.bytes`, which \
                  count for each core: a process that takes more than it may use is ended";
    finding.but(Verdict::Advice, remedy)
}

fn open_files(limit: Limit, full: u64) -> Finding {
    let wanted = format!(
        "{full} or more for `connections.max`; at least {}",
        limit.least
    );
    // The broker raises its soft limit itself.
    let found = shown(limit.hard, |n| n.to_string());
    let finding = Finding::new("open files", found, wanted);
    let remedy = "set LimitNOFILE= in the unit, or raise `ulimit -Hn` (tuning/limits.conf)";
    held(finding, (limit.hard, limit.least, full), remedy)
}

fn governor(governors: &[String]) -> Finding {
    const WANTED: &str = "performance";
    let Some(first) = governors.first() else {
        let file = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor";
        return unknown("CPU governor", WANTED, file);
    };
    let other = governors.iter().find(|governor| *governor != WANTED);
    let finding = Finding::new("CPU governor", other.unwrap_or(first).clone(), WANTED);
    match other {
        None => finding,
        Some(_) => {
            let remedy = "run `cpupower frequency-set -g performance`: otherwise a core that sleeps between \
                          requests wakes on a slow clock";
            finding.but(Verdict::Advice, remedy)
        }
    }
}

fn clock(source: Option<&str>) -> Finding {
    const WANTED: &str = "one that is read without a system call";
    const CHEAP: [&str; 5] = [
        "tsc",
        "kvm-clock",
        "arch_sys_counter",
        "hyperv_clocksource_tsc_page",
        "hvclock",
    ];
    let Some(source) = source else {
        return unknown("clock source", WANTED, "/sys/devices/system/clocksource");
    };
    let finding = Finding::new("clock source", source, WANTED);
    if CHEAP.contains(&source) {
        return finding;
    }
    let remedy = "put `tsc=reliable` on the kernel's command line, if the CPU's counter is reliable: \
                  each turn of a core reads the clock";
    finding.but(Verdict::Advice, remedy)
}

fn huge_pages(enabled: Option<&str>) -> Finding {
    const WANTED: &str = "madvise or never";
    let Some(enabled) = enabled else {
        let file = "/sys/kernel/mm/transparent_hugepage/enabled";
        return unknown("huge pages", WANTED, file);
    };
    let chosen = enabled.split(['[', ']']).nth(1).unwrap_or(enabled);
    let finding = Finding::new("huge pages", chosen, WANTED);
    if chosen != "always" {
        return finding;
    }
    let remedy = "run `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`: the kernel's \
                  compaction for huge pages stalls a core for milliseconds";
    finding.but(Verdict::Advice, remedy)
}

/// The last number of the value is what counts: the largest of three.
fn sysctl(name: &'static str, found: Option<&str>, least: u64) -> Finding {
    let wanted = format!("{least} or more");
    let Some(found) = found else {
        return unknown(name, &wanted, "sysctl");
    };
    let finding = Finding::new(name, found.replace('\t', " "), wanted);
    let number = found.split_whitespace().next_back().map(str::parse::<u64>);
    match number {
        Some(Ok(number)) if number >= least => finding,
        _ => finding.but(
            Verdict::Advice,
            "install tuning/90-leveret.conf as a sysctl file",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(finding: &Finding) -> Verdict {
        finding.verdict
    }

    #[test]
    fn kernels_are_told_apart() {
        assert_eq!(verdict(&kernel(Some("6.1.0-13-amd64"))), Verdict::Ok);
        assert_eq!(verdict(&kernel(Some("10.0"))), Verdict::Ok);
        assert_eq!(verdict(&kernel(Some("5.15.0"))), Verdict::Fatal);
        assert_eq!(verdict(&kernel(Some("odd"))), Verdict::Unknown);
        assert_eq!(verdict(&kernel(None)), Verdict::Unknown);
    }

    #[test]
    fn limits_are_fatal_below_what_is_needed_and_advice_below_what_is_used() {
        let limit = |soft| Limit {
            soft,
            hard: soft,
            least: 100,
        };
        for check in [memlock, open_files] {
            assert_eq!(verdict(&check(limit(99), 1000)), Verdict::Fatal);
            assert_eq!(verdict(&check(limit(100), 1000)), Verdict::Advice);
            assert_eq!(verdict(&check(limit(1000), 1000)), Verdict::Ok);
            assert_eq!(check(limit(u64::MAX), 1000).found, "no limit");
        }
    }

    #[test]
    fn budgets_beyond_what_may_be_used_are_told() {
        let mut settings = Settings::default();
        settings
            .apply_assignment("memory.cache.bytes=1 GiB")
            .expect("valid");
        let enough = memory(&settings, Some(8 << 30), 2);
        assert_eq!(verdict(&enough), Verdict::Ok);
        assert!(enough.found.contains("1.0 GiB a core"), "{}", enough.found);
        let little = memory(&settings, Some(2 << 30), 2);
        assert_eq!(verdict(&little), Verdict::Advice);
        assert_eq!(verdict(&memory(&settings, None, 2)), Verdict::Unknown);
    }

    #[test]
    fn a_refused_ring_is_fatal_and_says_what_to_do() {
        let refused = Err(RuntimeError::IoUring {
            call: "io_uring_enter",
            source: std::io::Error::from_raw_os_error(1),
            remedy: "ask for it",
        });
        let finding = io_uring(&refused);
        assert_eq!(verdict(&finding), Verdict::Fatal);
        assert_eq!(finding.remedy.as_deref(), Some("ask for it"));
        assert!(finding.found.contains("not permitted"), "{}", finding.found);
    }

    #[test]
    fn files_of_the_kernel_are_read_as_it_writes_them() {
        assert_eq!(
            verdict(&huge_pages(Some("always [madvise] never"))),
            Verdict::Ok
        );
        assert_eq!(
            verdict(&huge_pages(Some("[always] madvise never"))),
            Verdict::Advice
        );
        assert_eq!(verdict(&clock(Some("tsc"))), Verdict::Ok);
        assert_eq!(verdict(&clock(Some("acpi_pm"))), Verdict::Advice);
        assert_eq!(
            verdict(&sysctl("x", Some("4096\t16384\t4194304"), 4 << 20)),
            Verdict::Ok
        );
        assert_eq!(verdict(&sysctl("x", Some("128"), 1024)), Verdict::Advice);
        let governors = ["performance".to_owned(), "powersave".to_owned()];
        assert_eq!(verdict(&governor(&governors)), Verdict::Advice);
        assert_eq!(verdict(&governor(&governors[..1])), Verdict::Ok);
        assert_eq!(verdict(&governor(&[])), Verdict::Unknown);
    }
}
