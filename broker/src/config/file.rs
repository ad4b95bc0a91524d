//! A TOML file as a list of assignments. Tables and dotted keys are the same thing to it:
//! `[message]` with `max.bytes = 1` is `message.max.bytes = 1`.

use super::ConfigError;

/// Every value of the file with its dotted key and its written form, by key.
pub(super) fn assignments(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        ConfigError::Syntax(error.to_string().trim_end().to_owned())
    })?;
    let mut found = Vec::new();
    flatten("", &table, &mut found);
    Ok(found)
}

// The parser bounds how deep tables nest, so this recursion is bounded as well.
fn flatten(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, found),
            other => found.push((key, written(other))),
        }
    }
}

fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
