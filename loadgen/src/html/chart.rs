//! A chart: two axes with ticks and names, and lines in between.

use std::fmt::Write;

use super::scale::{Scale, Tick};
use super::text::escape;

/// Size of a chart in its own units; the page scales it to its width.
const WIDTH: f64 = 1032.0;
const HEIGHT: f64 = 400.0;
/// Room for the words of the axes.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 56.0;
/// Lines with no more points than this show each of them.
const DOTTED: usize = 40;

/// The axis from left to right.
pub(super) struct Across {
    /// Value at the right edge; 0 is at the left one.
    pub(super) end: f64,
    pub(super) ticks: Vec<Tick>,
    pub(super) name: &'static str,
}

/// The axis from bottom to top.
pub(super) struct Up {
    pub(super) scale: Scale,
    pub(super) label: fn(f64) -> String,
    pub(super) name: &'static str,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
    /// Thin and pale: one of many.
    Faint,
}

/// A line, from left to right.
pub(super) struct Line<'a> {
    /// Which of the page's colours.
    pub(super) colour: usize,
    pub(super) stroke: Stroke,
    pub(super) points: Vec<(f64, f64)>,
    /// What it shows.
    pub(super) name: &'a str,
}

/// A chart as inline SVG; `what` describes it to who cannot see it.
pub(super) fn chart(what: &str, across: &Across, up: &Up, lines: &[Line<'_>]) -> String {
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(what)
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x = |value: f64| LEFT + (value / across.end).clamp(0.0, 1.0) * (right - LEFT);
    let y = |value: f64| bottom - up.scale.place(value) * (bottom - TOP);
    for tick in up.scale.ticks(up.label) {
        let y = y(tick.value);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 5.0,
            escape(&tick.label)
        );
    }
    for tick in &across.ticks {
        let x = x(tick.value);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            escape(&tick.label)
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"frame\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
         <text class=\"name\" x=\"0\" y=\"16\">{}</text>\
         <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        escape(up.name),
        f64::midpoint(LEFT, right),
        HEIGHT - 8.0,
        escape(across.name)
    );
    // The pale ones first, so that they cover nothing.
    let pale = |line: &&Line<'_>| line.stroke == Stroke::Faint;
    for line in lines.iter().filter(pale) {
        draw(&mut out, line, up, &x, &y);
    }
    for line in lines.iter().filter(|line| !pale(line)) {
        draw(&mut out, line, up, &x, &y);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(
    out: &mut String,
    line: &Line<'_>,
    up: &Up,
    x: &impl Fn(f64) -> f64,
    y: &impl Fn(f64) -> f64,
) {
    let kind = match line.stroke {
        Stroke::Solid => "",
        Stroke::Dashed => " dashed",
        Stroke::Faint => " faint",
    };
    let places: Vec<String> = line
        .points
        .iter()
        .map(|(across, value)| format!("{:.1},{:.1}", x(*across), y(*value)))
        .collect();
    let _ = writeln!(
        out,
        "<polyline class=\"curve s{}{kind}\" points=\"{}\"><title>{}</title></polyline>",
        line.colour,
        places.join(" "),
        escape(line.name)
    );
    if line.stroke == Stroke::Faint || line.points.len() > DOTTED {
        return;
    }
    for (across, value) in &line.points {
        let _ = writeln!(
            out,
            "<circle class=\"dot f{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}: {}</title></circle>",
            line.colour,
            x(*across),
            y(*value),
            escape(line.name),
            escape(&(up.label)(*value))
        );
    }
}

/// The key to the colours, and to the strokes where there is more than one.
pub(super) fn legend(names: &[(usize, &str)], strokes: &[(Stroke, &str)]) -> String {
    let mut out = String::from("<ul class=\"legend\">\n");
    let mut item = |class: String, name: &str| {
        let _ = writeln!(
            out,
            "<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\"><line class=\"curve {class}\" x1=\"1\" y1=\"6\" \
             x2=\"29\" y2=\"6\"/></svg>{}</li>",
            escape(name)
        );
    };
    for (colour, name) in names {
        item(format!("s{colour}"), name);
    }
    for (stroke, name) in strokes {
        let class = match stroke {
            Stroke::Solid => "sn",
            Stroke::Dashed => "sn dashed",
            Stroke::Faint => "sn faint",
        };
        item(class.to_owned(), name);
    }
    out.push_str("</ul>\n");
    out
}
