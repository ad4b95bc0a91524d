//! The tables of a page: results and parameters.

use std::fmt::Write;

use super::text::{count, digits, escape, factor, grouped, latency};
use crate::about::date;
use crate::compare::{Better, Comparison};
use crate::report::Report;
use crate::units;

/// One line of results for each run.
pub(super) fn results(runs: &[Report], names: &[&str], colours: &[usize]) -> String {
    let head = [
        "messages/s",
        "payload",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "CPU per message",
        "written per message",
    ];
    let mut out =
        String::from("<div class=\"scroll\"><table class=\"tight\"><thead><tr><th>run</th>");
    for name in head {
        let _ = write!(out, "<th class=\"wide\">{name}</th>");
    }
    out.push_str("</tr></thead><tbody>\n");
    for ((run, name), colour) in runs.iter().zip(names).zip(colours) {
        let _ = write!(
            out,
            "<tr><th class=\"run\"><span class=\"swatch b{colour}\"></span>{}</th><td>{}</td><td>{}</td>",
            escape(name),
            count(run.messages_per_second),
            units::bytes_per_second(run.bytes_per_second)
        );
        match run.latency_us {
            Some(p) => {
                for value in [p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max] {
                    let _ = write!(out, "<td>{}</td>", latency(value));
                }
            }
            None => out.push_str(&"<td>–</td>".repeat(6)),
        }
        let each = |value: Option<f64>, unit: &str| {
            value.map_or("–".to_owned(), |value| {
                format!("{} {unit}", digits(value))
            })
        };
        let _ = writeln!(
            out,
            "<td>{}</td><td>{}</td></tr>",
            each(run.broker_cpu_us_per_message, "µs"),
            each(run.bytes_written_per_message, "B")
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Every figure of a comparison.
pub(super) fn figures(comparison: &Comparison) -> String {
    let mut out = format!(
        "<div class=\"scroll\"><table><thead><tr><th>figure</th><th class=\"text\">better</th>\
         <th class=\"wide\">A: {}</th><th class=\"wide\">B: {}</th><th>B / A</th><th>range</th>\
         <th class=\"text\">rounds</th></tr></thead><tbody>\n",
        escape(&comparison.a.label),
        escape(&comparison.b.label)
    );
    for figure in &comparison.figures {
        let better = match figure.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        };
        let shown = |value| match figure.unit.as_str() {
            "µs" => latency(value),
            _ => figure.shown(value),
        };
        let name = match figure.unit.as_str() {
            "µs" => figure.name.clone(),
            unit => format!("{}, {unit}", figure.name),
        };
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td class=\"text\">{better}</td><td>{}</td><td>{}</td>\
             <td><b>{}</b></td><td>{} to {}</td><td class=\"text\">{}</td></tr>",
            escape(&name),
            shown(figure.a_median),
            shown(figure.b_median),
            factor(figure.ratio_median),
            factor(figure.ratio_min),
            factor(figure.ratio_max),
            figure.verdict()
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// One parameter: its name, and the value of a run.
type Parameter = (&'static str, fn(&Report) -> String);

const PARAMETERS: [Parameter; 18] = [
    ("mode", |run| run.mode.clone()),
    ("protocol", |run| or_dash(&run.protocol)),
    ("durability", |run| run.durability.clone()),
    ("message size", |run| format!("{} B", run.size)),
    ("messages per batch", |run| run.batch.to_string()),
    ("connections", |run| run.connections.to_string()),
    ("loop", |run| match run.rate {
        Some(_) => format!("open, {}", run.pace()),
        None => format!("closed, {}", run.pace()),
    }),
    ("partitions", |run| run.partitions.to_string()),
    ("topic configuration", |run| {
        let pair = |(key, value): &(String, String)| format!("{key}={value}");
        or_dash(
            &run.topic_config
                .iter()
                .map(pair)
                .collect::<Vec<_>>()
                .join(", "),
        )
    }),
    ("broker", Report::cores),
    ("messages", |run| grouped(run.messages)),
    ("duration", |run| format!("{:.2} s", run.duration_seconds)),
    ("broker CPU", |run| {
        run.broker_cpu_seconds
            .map_or("–".to_owned(), |cpu| format!("{cpu:.2} s"))
    }),
    ("load generator CPU", |run| {
        format!("{:.2} s", run.loadgen_cpu_seconds)
    }),
    ("read back", |run| {
        match (run.lost, run.duplicated, run.out_of_order) {
            (Some(lost), Some(duplicated), Some(mixed)) => {
                format!("{lost} lost, {duplicated} duplicated, {mixed} out of order")
            }
            _ => "not read back".to_owned(),
        }
    }),
    ("machine", |run| or_dash(&run.about.machine)),
    ("started", |run| match run.about.started {
        0 => "–".to_owned(),
        started => date(started),
    }),
    ("leveret-loadgen", |run| or_dash(&run.about.version)),
];

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "–".to_owned()
    } else {
        text.to_owned()
    }
}

/// What each run was asked to do; what all agree on is said once.
pub(super) fn parameters(runs: &[Report], names: &[&str]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr><th>parameter</th>");
    for name in names {
        let _ = write!(out, "<th class=\"text wide\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead><tbody>\n");
    for (name, read) in PARAMETERS {
        let values: Vec<String> = runs.iter().map(read).collect();
        let _ = write!(out, "<tr><th>{name}</th>");
        match values.split_first() {
            Some((first, rest)) if !rest.is_empty() && rest.iter().all(|value| value == first) => {
                let _ = write!(
                    out,
                    "<td class=\"same wide\" colspan=\"{}\">{}</td>",
                    runs.len(),
                    escape(first)
                );
            }
            _ => {
                for value in &values {
                    let _ = write!(out, "<td class=\"text wide\">{}</td>", escape(value));
                }
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}
