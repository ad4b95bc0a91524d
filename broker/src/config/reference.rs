//! The settings as text for people: for `--help` and for `docs/operations.md`.

use std::fmt::Write;

use leveret_engine::settings::{self as declared, DefaultValue};
use leveret_engine::topology::{TOPIC_SETTINGS, TopicSettings};

use super::settings::{SETTINGS, Setting};

/// The table of `docs/operations.md`.
#[must_use]
pub fn markdown_table() -> String {
    let mut out =
        String::from("| setting | default | bounds | what it does |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let bounds = bounds_or_form(setting);
        let Setting {
            key,
            default,
            prose,
            ..
        } = setting;
        writeln!(out, "| `{key}` | `{default}` | {bounds} | {prose} |")
            .expect("writing to a String");
    }
    out
}

/// The table of what can be set per topic, of `docs/operations.md`.
#[must_use]
pub fn topic_markdown_table() -> String {
    declared::markdown_table::<TopicSettings>()
}

/// The list of `leveret serve --help`; lines are not longer than `width` where words allow.
#[must_use]
pub fn plain_list(width: usize) -> String {
    let mut out = String::new();
    for setting in SETTINGS {
        let Setting { key, default, .. } = setting;
        let head = format!("{key} = {default}   ({})", bounds_or_form(setting));
        explain(&mut out, &head, setting.prose, width);
    }
    out
}

/// The list of `leveret topic create --help`: what can be set per topic and has an effect.
#[must_use]
pub fn topic_plain_list(width: usize) -> String {
    let mut out = String::new();
    for setting in TOPIC_SETTINGS.iter().filter(|setting| setting.has_effect()) {
        let default = match setting.default {
            DefaultValue::Broker(from) => format!("the broker's {from}"),
            DefaultValue::Fixed(text) => text.to_owned(),
        };
        let ours = if setting.ours { "; Leveret's own" } else { "" };
        let values = setting.form.bounds();
        let head = format!("{} = {default}   ({values}{ours})", setting.name);
        explain(&mut out, &head, setting.prose, width);
    }
    out
}

fn explain(out: &mut String, head: &str, prose: &str, width: usize) {
    const INDENT: &str = "      ";
    writeln!(out, "  {head}").expect("writing to a String");
    for line in wrapped(prose, width.saturating_sub(INDENT.len())) {
        writeln!(out, "{INDENT}{line}").expect("writing to a String");
    }
}

fn bounds_or_form(setting: &Setting) -> String {
    match setting.bounds {
        Some((low, high)) => format!("{low} to {high}"),
        None => setting.form.to_owned(),
    }
}

/// The words of a text in lines that are no longer than `width`, where words allow.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
