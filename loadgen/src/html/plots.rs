//! The plots of a page: latency by percentile, figures over time, ratios with their ranges.

use std::fmt::Write;

use super::chart::{Across, Line, Stroke, Up, chart, legend};
use super::scale::{Scale, nines, percentile_ticks, time_ticks};
use super::text;
use crate::compare::Figure;
use crate::latency::Point;
use crate::recorder::Second;

/// Nines beyond which no axis goes.
const MOST_NINES: f64 = 7.0;

/// The percentiles of one recording.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    /// One of several that stand behind a merged one.
    pub(super) faint: bool,
    pub(super) messages: u64,
    pub(super) points: &'a [Point],
}

/// What one run did, second by second, from some time on.
pub(super) struct Trace<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    /// When its figures begin on the common axis, seconds.
    pub(super) from: f64,
    pub(super) seconds: &'a [Second],
}

/// Latency by percentile, on HdrHistogram's axis; nothing if there are no points.
pub(super) fn percentiles(curves: &[Curve<'_>], keys: &[(Stroke, &str)]) -> String {
    let lines: Vec<Line<'_>> = curves
        .iter()
        .filter(|curve| !curve.points.is_empty())
        .map(|curve| {
            // The longest of n messages is known to stand above 1 - 1/n, and no further.
            let known = (curve.messages.max(2) as f64).log10().min(MOST_NINES);
            let mut points: Vec<_> = curve
                .points
                .iter()
                .map(|point| (nines(point.quantile).min(known), point.us))
                .collect();
            // Of the points that are drawn at the end of the curve only the last one counts.
            while points.len() >= 2 && points[points.len() - 2].0 >= known {
                points.remove(points.len() - 2);
            }
            Line {
                colour: curve.colour,
                stroke: if curve.faint {
                    Stroke::Faint
                } else {
                    Stroke::Solid
                },
                points,
                name: curve.name,
            }
        })
        .collect();
    let ends = lines.iter().filter_map(|line| line.points.last());
    let end = ends.map(|(across, _)| *across).fold(0.0, f64::max);
    if end == 0.0 {
        return String::new();
    }
    let latencies = lines.iter().flat_map(|line| &line.points).map(|p| p.1);
    let up = Up {
        scale: Scale::fitting(latencies),
        label: text::latency,
        name: "Latency",
    };
    let across = Across {
        end,
        ticks: percentile_ticks(end),
        name: "Percentile (each nine as wide as the one before)",
    };
    let names: Vec<_> = curves
        .iter()
        .filter(|curve| !curve.faint)
        .map(|curve| (curve.colour, curve.name))
        .collect();
    format!(
        "<figure>\n{}{}</figure>\n",
        legend(&names, keys),
        chart("Latency by percentile", &across, &up, &lines)
    )
}

/// Messages per second, second by second.
pub(super) fn throughput(traces: &[Trace<'_>]) -> String {
    let lines: Vec<_> = traces
        .iter()
        .map(|trace| trace.line(Stroke::Solid, |second| Some(second.messages_per_second)))
        .collect();
    let up = Up {
        scale: Scale::linear(values(&lines)),
        label: text::count,
        name: "Messages per second",
    };
    over_time("Throughput over time", traces, &up, &lines, &[])
}

/// The median and the 99th percentile of each second.
pub(super) fn latency(traces: &[Trace<'_>]) -> String {
    let percentile = |stroke, read: fn(&Second) -> f64| {
        traces.iter().map(move |trace| {
            trace.line(stroke, move |second| {
                Some(read(second)).filter(|us| *us > 0.0)
            })
        })
    };
    let lines: Vec<_> = percentile(Stroke::Solid, |second| second.p99_us)
        .chain(percentile(Stroke::Dashed, |second| second.p50_us))
        .collect();
    let up = Up {
        scale: Scale::fitting(values(&lines)),
        label: text::latency,
        name: "Latency",
    };
    let keys = [
        (Stroke::Solid, "p99 of each second"),
        (Stroke::Dashed, "p50 of each second"),
    ];
    over_time("Latency over time", traces, &up, &lines, &keys)
}

fn values<'a>(lines: &'a [Line<'_>]) -> impl Iterator<Item = f64> + Clone + 'a {
    lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.1))
}

fn over_time(
    what: &str,
    traces: &[Trace<'_>],
    up: &Up,
    lines: &[Line<'_>],
    keys: &[(Stroke, &str)],
) -> String {
    let ends = traces
        .iter()
        .filter_map(|trace| Some(trace.from + trace.seconds.last()?.until));
    let end = ends.fold(0.0, f64::max);
    if end == 0.0 {
        return String::new();
    }
    let across = Across {
        end,
        ticks: time_ticks(end),
        name: "Seconds since the first figures",
    };
    let mut names: Vec<_> = traces.iter().map(|t| (t.colour, t.name)).collect();
    names.sort_unstable();
    names.dedup();
    format!(
        "<figure>\n{}{}</figure>\n",
        legend(&names, keys),
        chart(what, &across, up, lines)
    )
}

impl<'a> Trace<'a> {
    fn line(&self, stroke: Stroke, read: impl Fn(&Second) -> Option<f64>) -> Line<'a> {
        let mut from = self.from;
        let mut points = Vec::with_capacity(self.seconds.len());
        for second in self.seconds {
            let until = self.from + second.until;
            // In the middle of the time that it is the figure of.
            points.extend(read(second).map(|value| (f64::midpoint(from, until), value)));
            from = until;
        }
        Line {
            colour: self.colour,
            stroke,
            points,
            name: self.name,
        }
    }
}

/// Height of one figure's row of the plot of ratios.
const ROW: f64 = 46.0;
const RATIO_WIDTH: f64 = 1032.0;
const RATIO_LEFT: f64 = 120.0;
const RATIO_RIGHT: f64 = 230.0;
const RATIO_TOP: f64 = 30.0;

/// Every round's ratio B / A of every figure, with the median and the range.
pub(super) fn ratios(figures: &[Figure]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let least = figures.iter().map(|f| f.ratio_min).fold(0.9, f64::min);
    let most = figures.iter().map(|f| f.ratio_max).fold(1.1, f64::max);
    let scale = Scale::log(least, most);
    let (right, bottom) = (
        RATIO_WIDTH - RATIO_RIGHT,
        RATIO_TOP + ROW * figures.len() as f64,
    );
    let x = |ratio: f64| RATIO_LEFT + scale.place(ratio) * (right - RATIO_LEFT);
    let mut out = format!(
        "<figure>\n<svg viewBox=\"0 0 {RATIO_WIDTH} {:.0}\" role=\"img\" aria-label=\"Ratios B / A with ranges\">\n",
        bottom + 52.0
    );
    for tick in scale.ticks(text::ratio) {
        let x = x(tick.value);
        let class = if (tick.value - 1.0).abs() < 1e-9 {
            "one"
        } else {
            "grid"
        };
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{RATIO_TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            tick.label
        );
    }
    for (row, figure) in (0..).map(f64::from).zip(figures) {
        let y = RATIO_TOP + ROW * (row + 0.5);
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"0\" y=\"{:.1}\">{}</text>\
             <line class=\"curve sn\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
            y + 5.0,
            text::escape(&figure.name),
            x(figure.ratio_min),
            x(figure.ratio_max)
        );
        for (a, b) in figure.a.iter().zip(&figure.b) {
            let _ = writeln!(
                out,
                "<circle class=\"dot f1\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
                x(b / a),
                text::ratio(b / a)
            );
        }
        let _ = writeln!(
            out,
            "<path class=\"fn\" d=\"M{0:.1} {1:.1}l5 7l-5 7l-5 -7z\"/>\
             <text class=\"name\" x=\"{2:.1}\" y=\"{3:.1}\">{4} ({5}–{6})</text>",
            x(figure.ratio_median),
            y - 7.0,
            right + 16.0,
            y + 5.0,
            text::ratio(figure.ratio_median),
            text::factor(figure.ratio_min),
            text::factor(figure.ratio_max)
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"frame\" d=\"M{RATIO_LEFT} {bottom}H{right}\"/>\
         <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">Ratio B / A (logarithmic)</text>\n</svg>\n</figure>",
        f64::midpoint(RATIO_LEFT, right),
        bottom + 44.0
    );
    out
}
