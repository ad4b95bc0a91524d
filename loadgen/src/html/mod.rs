//! One self-contained page of one or several runs, a comparison, or the machine's limits: plots as
//! inline SVG, tables, light and dark; no script, nothing from the network.
//!
//! It draws what reports say and computes nothing anew.

mod chart;
mod plots;
mod scale;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::about::date;
use crate::compare::{Comparison, Side};
use crate::failure::Failure;
use crate::output;
use crate::raw::RawReport;
use crate::report::Report;
use crate::units;
use chart::Stroke;
use plots::{Curve, Trace};
use text::escape;

const STYLE: &str = include_str!("style.css");
/// Colours that the style has.
const COLOURS: usize = 8;

/// Says once how latencies are to be read.
const READING: &str = "Latency counts from the time at which a message was meant to be sent: in an open loop that is the \
     schedule (no coordinated omission), in a closed loop the moment at which the batch was made. Reading alone (consume) counts \
     each fetch's round trip. Histograms are merged, never averaged, and the longest latency is the true one.";

/// Reads JSON reports and writes a page of all of them.
///
/// # Errors
/// If one cannot be read or is no report, or the page cannot be written.
pub(crate) fn render(paths: &[PathBuf], page: &Path) -> Result<(), Failure> {
    let mut all = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                format!("cannot read {}: {error}", path.display()),
                "name files that --json has written",
            )
        })?;
        if let [_] = paths
            && let Ok(compared) = serde_json::from_str(&text)
        {
            return output::write(page, &comparison(&compared));
        }
        let mut report: Report = serde_json::from_str(&text).map_err(|error| {
            Failure::new(
                format!("{} is no report of a run: {error}", path.display()),
                "name files that --json of produce, consume or e2e has written, or one of compare",
            )
        })?;
        if report.label.is_none() {
            let stem = path.file_stem().unwrap_or_default();
            report.label = Some(stem.to_string_lossy().into_owned());
        }
        all.push(report);
    }
    output::write(page, &runs(&all))
}

/// A page of several runs beside each other, or of one.
pub(crate) fn runs(runs: &[Report]) -> String {
    let names: Vec<&str> = runs
        .iter()
        .map(|run| run.label.as_deref().unwrap_or(&run.mode))
        .collect();
    let colours: Vec<usize> = (0..runs.len()).map(|run| run % COLOURS).collect();
    let curves: Vec<_> = runs
        .iter()
        .zip(&names)
        .zip(&colours)
        .map(|((run, name), colour)| Curve {
            name,
            colour: *colour,
            faint: false,
            messages: run.messages,
            points: &run.latency_points,
        })
        .collect();
    let traces: Vec<_> = runs
        .iter()
        .zip(&names)
        .zip(&colours)
        .map(|((run, name), colour)| Trace {
            name,
            colour: *colour,
            from: 0.0,
            seconds: &run.series,
        })
        .collect();
    let title = match (runs, &names[..]) {
        ([run], [name]) if *name == run.mode => format!("Load: {}", run.mode),
        _ => format!("Load: {}", names.join(", ")),
    };
    let mut page = Page::new(&title, &summary(runs));
    page.section("Results", "", &tables::results(runs, &names, &colours));
    page.section(
        "Latency by percentile",
        READING,
        &plots::percentiles(&curves, &[]),
    );
    page.over_time(&traces);
    page.section("Parameters", "", &tables::parameters(runs, &names));
    page.commands(runs.iter().map(|run| run.about.command.as_str()));
    page.end()
}

/// A page of two brokers that were loaded in turn.
pub(crate) fn comparison(comparison: &Comparison) -> String {
    let sides = [&comparison.a, &comparison.b];
    let names: Vec<String> = ["A: ", "B: "]
        .iter()
        .zip(sides)
        .map(|(letter, side)| format!("{letter}{}", side.label))
        .collect();
    let curves: Vec<_> = (0..)
        .zip(sides.iter().zip(&names))
        .flat_map(|(colour, (side, name))| side_curves(side, name, colour))
        .collect();
    let first_runs: Vec<Report> = sides
        .iter()
        .filter_map(|side| side.runs.first().cloned())
        .collect();
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let title = format!("{} against {}", comparison.b.label, comparison.a.label);
    let about = format!(
        "{} Loaded in turn, A B A B, {} rounds.",
        summary(&first_runs),
        comparison.rounds
    );
    let mut page = Page::new(&title, &about);
    let chance = 2_f64.powi(i32::from(comparison.rounds) - 1);
    let note = format!(
        "The ratio B / A of each round (dots), its median (diamond) and its range (line). The two runs of a round were disturbed \
         most alike, so the ratio is taken within it; medians of each side are over all rounds. Equal brokers would agree in \
         all {} rounds once in {chance} times, by chance.",
        comparison.rounds
    );
    page.section(
        "Ratios",
        &note,
        &(plots::ratios(&comparison.figures) + &tables::figures(comparison)),
    );
    let keys = [
        (Stroke::Solid, "all rounds, merged"),
        (Stroke::Faint, "one round"),
    ];
    page.section(
        "Latency by percentile",
        READING,
        &plots::percentiles(&curves, &keys),
    );
    page.over_time(&in_turn(comparison, &names));
    page.section(
        "Parameters",
        "Of the first round.",
        &tables::parameters(&first_runs, &borrowed),
    );
    page.commands(std::iter::once(comparison.about.command.as_str()));
    page.end()
}

/// A page of what the machine can do without a broker.
pub(crate) fn limits(limits: &RawReport) -> String {
    let about = format!(
        "Measured on {}, {}; disk in {}.",
        limits.about.machine,
        date(limits.about.started),
        limits.directory.display()
    );
    let mut page = Page::new("What this machine can do without a broker", &about);
    let mut table = String::from("<div class=\"scroll\"><table><tbody>\n");
    let rates = [
        (
            "loopback TCP, one connection",
            limits.loopback_tcp_bytes_per_second,
        ),
        (
            "sequential writes, 256 KiB, four in flight",
            limits.direct_write_bytes_per_second,
        ),
        (
            "sequential reads, 256 KiB, four in flight",
            limits.direct_read_bytes_per_second,
        ),
    ];
    for (name, rate) in rates {
        let rate = units::bytes_per_second(rate);
        let _ = writeln!(table, "<tr><th>{name}</th><td>{rate}</td></tr>");
    }
    let _ = writeln!(
        table,
        "<tr><th>O_DIRECT</th><td>{}</td></tr></tbody></table></div>",
        if limits.direct {
            "yes"
        } else {
            "no: the disk's figures are those of memory"
        }
    );
    page.section("Throughput", "", &table);
    let curve = |name, colour, messages, points| Curve {
        name,
        colour,
        faint: false,
        messages,
        points,
    };
    let curves = [
        curve(
            "one durable 4 KiB write",
            0,
            limits.durable_4k_count,
            &limits.durable_4k_points[..],
        ),
        curve(
            "loopback round trip, 1 KiB",
            1,
            limits.loopback_round_trip_count,
            &limits.loopback_round_trip_points[..],
        ),
    ];
    page.section(
        "Latency by percentile",
        "One at a time.",
        &plots::percentiles(&curves, &[]),
    );
    page.commands(std::iter::once(limits.about.command.as_str()));
    page.end()
}

/// One sentence of what all runs have in common.
fn summary(runs: &[Report]) -> String {
    let Some(run) = runs.first() else {
        return String::new();
    };
    let common = |read: fn(&Report) -> String| {
        let first = read(run);
        let same = runs.iter().all(|other| read(other) == first);
        (same && !first.is_empty()).then_some(first)
    };
    let parts = [
        common(|run| run.mode.clone()),
        common(|run| format!("{} B × {}", run.size, run.batch)),
        common(|run| format!("{} connection(s)", run.connections)),
        common(Report::pace),
        common(|run| format!("durability {}", run.durability)),
        common(|run| run.about.machine.clone()),
        common(|run| match run.about.started {
            0 => String::new(),
            started => date(started)[..10].to_owned(),
        }),
    ];
    let mut sentence = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    sentence.push('.');
    sentence
}

/// The merged curve of a side, and those of its rounds behind it.
fn side_curves<'a>(side: &'a Side, name: &'a str, colour: usize) -> Vec<Curve<'a>> {
    let merged = Curve {
        name,
        colour,
        faint: false,
        messages: side.runs.iter().map(|run| run.messages).sum(),
        points: &side.latency_points,
    };
    let rounds = side.runs.iter().map(|run| Curve {
        name,
        colour,
        faint: true,
        messages: run.messages,
        points: &run.latency_points,
    });
    std::iter::once(merged).chain(rounds).collect()
}

/// The runs of both sides one after another, as they were made.
fn in_turn<'a>(comparison: &'a Comparison, names: &'a [String]) -> Vec<Trace<'a>> {
    let mut traces = Vec::new();
    let mut from = 0.0;
    for (a, b) in comparison.a.runs.iter().zip(&comparison.b.runs) {
        for (colour, (run, name)) in [a, b].into_iter().zip(names).enumerate() {
            traces.push(Trace {
                name,
                colour,
                from,
                seconds: &run.series,
            });
            from += run.series.last().map_or(0.0, |second| second.until);
        }
    }
    traces
}

/// A page while it is written.
struct Page(String);

impl Page {
    fn new(title: &str, about: &str) -> Self {
        let (title, about) = (escape(title), escape(about));
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p>{about}</p>\n"
        ))
    }

    /// Nothing if there is nothing to show.
    fn section(&mut self, title: &str, note: &str, content: &str) {
        if content.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "<section>\n<h2>{title}</h2>");
        if !note.is_empty() {
            let _ = writeln!(self.0, "<p>{}</p>", escape(note));
        }
        let _ = writeln!(self.0, "{content}</section>");
    }

    fn over_time(&mut self, traces: &[Trace<'_>]) {
        self.section("Throughput over time", "", &plots::throughput(traces));
        self.section("Latency over time", "", &plots::latency(traces));
    }

    /// How to make it again.
    fn commands<'a>(&mut self, commands: impl Iterator<Item = &'a str>) {
        let commands: String = commands
            .filter(|command| !command.is_empty())
            .map(|command| format!("<code class=\"command\">{}</code>\n", escape(command)))
            .collect();
        self.section("Commands", "", &commands);
    }

    fn end(mut self) -> String {
        self.0.push_str(
            "<footer>Made by leveret-loadgen. Absolute figures are of this machine and this hour; ratios of runs in turn are \
             steadier.</footer>\n</main>\n</body>\n</html>\n",
        );
        self.0
    }
}
