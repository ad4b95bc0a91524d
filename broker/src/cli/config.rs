//! `leveret config`: every setting with its value, default, bounds and meaning.

use leveret_broker::config::{SETTINGS, Setting, Settings, wrapped};
use leveret_broker::server;
use serde::Serialize;

use super::args::ConfigArgs;
use super::failure::Failure;
use super::output::{print, print_json};
use super::serve::from_file;

/// Width of the comments.
const WIDTH: usize = 96;

/// One setting as JSON has it.
#[derive(Debug, Serialize)]
struct Shown {
    key: &'static str,
    value: String,
    /// What the value comes to on this machine, where that is not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<String>,
    default: &'static str,
    /// What values look like.
    form: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<&'static str>,
    meaning: &'static str,
}

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let settings = from_file(args.config.as_deref(), &args.set)?;
    if args.json {
        print_json(&all(&settings))
    } else {
        print(&file(&settings))
    }
}

/// Every setting of these.
fn all(settings: &Settings) -> Vec<Shown> {
    let machine = server::here(settings);
    let all = SETTINGS.iter();
    all.map(|one| shown(one, settings, &machine)).collect()
}

/// What `auto` comes to: the value on this machine, where it is another one.
fn here(setting: &Setting, settings: &Settings, machine: &Settings) -> Option<String> {
    let here = (setting.shown)(machine);
    (here != (setting.shown)(settings)).then_some(here)
}

fn shown(setting: &Setting, settings: &Settings, machine: &Settings) -> Shown {
    Shown {
        key: setting.key,
        value: (setting.shown)(settings),
        here: here(setting, settings, machine),
        default: setting.default,
        form: setting.form,
        least: setting.bounds.map(|(least, _)| least),
        most: setting.bounds.map(|(_, most)| most),
        meaning: setting.prose,
    }
}

/// A configuration file that has these settings.
fn file(settings: &Settings) -> String {
    let (mut text, defaults) = (String::new(), Settings::default());
    let machine = server::here(settings);
    for setting in SETTINGS {
        for line in wrapped(setting.prose, WIDTH - 2) {
            text.push_str(&format!("# {line}\n"));
        }
        let bounds = match setting.bounds {
            Some((least, most)) => format!("{least} to {most}"),
            None => setting.form.to_owned(),
        };
        let (key, default) = (setting.key, setting.default);
        text.push_str(&format!("# Default {default}; {bounds}.\n"));
        let value = (setting.shown)(settings);
        if let Some(here) = here(setting, settings, &machine) {
            text.push_str(&format!("# On this machine {value} comes to {here}.\n"));
        }
        let unchanged = value == (setting.shown)(&defaults);
        let mark = if unchanged { "#" } else { "" };
        // TOML's own escapes: a path may hold anything.
        let written = toml::Value::String(value);
        text.push_str(&format!("{mark}{key} = {written}\n\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_the_settings_that_it_shows() {
        let mut settings = Settings::default();
        let changes = [
            "data=/odd \"path\\of it",
            "cores=2",
            "http.listen=off",
            "topic.retention.time=none",
            "message.max.bytes=3000",
        ];
        for change in changes {
            settings.apply_assignment(change).expect("valid");
        }
        let text = file(&settings);
        let mut again = Settings::default();
        again.apply_toml(&text).expect("a configuration file");
        assert_eq!(again, settings);
        let set = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(set.count(), changes.len(), "defaults are comments");
        let mut all = Settings::default();
        let uncommented: String = text
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|l| !l.starts_with(' '))
                    .unwrap_or(line)
            })
            .map(|line| format!("{line}\n"))
            .collect();
        all.apply_toml(&uncommented)
            .expect("every line is a setting");
        // Every line of the file is configured then, with the same values.
        assert_eq!(all.configured.len(), SETTINGS.len());
        all.configured.clone_from(&settings.configured);
        assert_eq!(all, settings);
    }

    #[test]
    fn json_has_every_setting() {
        let settings = Settings::default();
        let shown = all(&settings);
        let json = serde_json::to_value(&shown).expect("string keys");
        assert_eq!(json.as_array().map(Vec::len), Some(SETTINGS.len()));
        assert_eq!(json[0]["key"], "data");
        assert_eq!(json[0]["value"], json[0]["default"]);
        let chosen: Vec<&Shown> = shown.iter().filter(|one| one.here.is_some()).collect();
        assert_eq!(chosen.len(), 1, "the machine decides one: {chosen:?}");
        assert_eq!(
            (chosen[0].key, &*chosen[0].value),
            ("memory.cache.bytes", "auto")
        );
        let text = file(&settings);
        let here = chosen[0].here.as_deref().expect("it was asked for");
        assert!(text.contains(&format!("auto comes to {here}.")), "{text}");
    }
}
