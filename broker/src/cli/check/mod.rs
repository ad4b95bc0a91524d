//! `leveret check`: what this machine lacks for full speed or durability, each with the remedy.
//!
//! The runtime's survey and the kernel's files (`facts`) say what there is; `machine` and `storage`
//! compare it with what should be; here it is printed. It repairs nothing.

mod facts;
mod machine;
mod storage;

use leveret_broker::config::Settings;
use leveret_broker::runtime::survey::Survey;
use leveret_broker::server;
use serde::Serialize;

use super::args::ConfigArgs;
use super::failure::Failure;
use super::output::{counted, print, print_json};
use super::serve::from_file;
use facts::Facts;

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but slower or with less of a promise.
    Advice,
    /// It cannot be seen from here.
    Unknown,
    /// The broker does not start.
    Fatal,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    name: &'static str,
    verdict: Verdict,
    found: String,
    /// What it should be.
    wanted: String,
    /// What to do, unless it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn new(name: &'static str, found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            wanted: wanted.into(),
            remedy: None,
        }
    }

    /// The same, but not as it should be.
    fn but(self, verdict: Verdict, remedy: impl Into<String>) -> Self {
        Self {
            verdict,
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Whether a broker could start.
    can_start: bool,
    findings: &'a [Finding],
}

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let settings = from_file(args.config.as_deref(), &args.set)?;
    let survey = Survey::take(
        &settings.data,
        &server::cpu_choice(&settings),
        server::needs(&settings),
    )
    .map_err(|error| Failure::Said(error.to_string()))?;
    let findings = findings(&settings, &survey, &Facts::read(&survey));
    let can_start = findings.iter().all(|one| one.verdict != Verdict::Fatal);
    if args.json {
        let findings = &findings[..];
        print_json(&Report {
            can_start,
            findings,
        })?;
    } else {
        print(&text(&findings))?;
    }
    if can_start {
        Ok(())
    } else {
        Err(Failure::AlreadyTold)
    }
}

fn findings(settings: &Settings, survey: &Survey, facts: &Facts) -> Vec<Finding> {
    let mut all = machine::findings(settings, survey, facts);
    all.extend(storage::findings(settings, survey, facts));
    all
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for one in findings {
        let mark = match one.verdict {
            Verdict::Ok => "ok",
            Verdict::Advice => "advice",
            Verdict::Unknown => "unknown",
            Verdict::Fatal => "FATAL",
        };
        text.push_str(&format!("{mark:<8} {:<16} {}\n", one.name, one.found));
        if let Some(remedy) = &one.remedy {
            let indent = " ".repeat(26);
            text.push_str(&format!(
                "{indent}should be: {}\n{indent}remedy: {remedy}\n",
                one.wanted
            ));
        }
    }
    let of = |verdict| findings.iter().filter(|one| one.verdict == verdict).count() as u64;
    let verdict = match (of(Verdict::Fatal), of(Verdict::Advice)) {
        (0, 0) => "nothing is missing".to_owned(),
        (0, advice) => format!(
            "a broker starts here; {}",
            counted(advice, "thing") + " could be better"
        ),
        (fatal, _) => format!(
            "a broker does NOT start here: {}",
            counted(fatal, "thing") + " in the way"
        ),
    };
    text.push_str(&format!("\n{verdict}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_with_its_remedy() {
        let fine = Finding::new("kernel", "6.18", "6.1");
        let bad = Finding::new("locked memory", "64 KiB", "8 MiB");
        let bad = bad.but(Verdict::Fatal, "raise it");
        let text = text(&[fine, bad]);
        assert!(
            text.starts_with("ok       kernel           6.18\nFATAL"),
            "{text}"
        );
        assert!(text.contains("should be: 8 MiB") && text.contains("remedy: raise it"));
        assert!(
            text.contains("NOT start here: 1 thing in the way"),
            "{text}"
        );
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let settings = Settings {
            data: std::env::temp_dir(),
            ..Settings::default()
        };
        let survey = Survey::take(
            &settings.data,
            &server::cpu_choice(&settings),
            server::needs(&settings),
        )
        .expect("limits");
        let findings = findings(&settings, &survey, &Facts::read(&survey));
        let names: Vec<_> = findings.iter().map(|one| one.name).collect();
        for name in [
            "kernel",
            "io_uring",
            "locked memory",
            "open files",
            "direct I/O",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        for one in &findings {
            assert_eq!(one.remedy.is_none(), one.verdict == Verdict::Ok, "{one:?}");
        }
    }
}
