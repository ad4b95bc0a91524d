//! Standard output for people and for programs: tables, sizes, JSON. Writing errors come back as
//! [`Failure`], so that a closed pipe ends a command quietly.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;

/// Writes text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}

/// Writes a value as one line of JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).expect("our own values have only string keys");
    text.push('\n');
    print(&text)
}

/// Columns as wide as they need: the first to the left, all others, which are numbers or short
/// words, to the right, unless it is a table of texts.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    texts: bool,
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(ToString::to_string).collect()],
            texts: false,
        }
    }

    /// The same, with every column to the left.
    pub(super) fn of_texts(headings: &[&str]) -> Self {
        Self {
            texts: true,
            ..Self::new(headings)
        }
    }

    /// Adds a row; it has as many cells as there are headings.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.rows[0].len(), "a row fills its table");
        self.rows.push(cells);
    }

    /// The whole of it, each line ended.
    pub(super) fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&match self.texts {
                    true => format!("  {cell:<width$}"),
                    false => format!("  {cell:>width$}"),
                });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number of bytes in the unit that fits, such as `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" {
                format!("{bytes} B")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// A time in its two largest units, such as `2 h 5 min`; a second one of zero is left out.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (large, small) = match (days, hours, minutes) {
        (0, 0, 0) => return format!("{seconds} s"),
        (0, 0, _) => (format!("{minutes} min"), (seconds % 60, "s")),
        (0, _, _) => (format!("{hours} h"), (minutes % 60, "min")),
        _ => (counted(days, "day"), (hours % 24, "h")),
    };
    match small {
        (0, _) => large,
        (rest, unit) => format!("{large} {rest} {unit}"),
    }
}

/// `1 partition`, `2 partitions`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["TOPIC", "SIZE"]);
        table.row(vec!["a".to_owned(), "1 B".to_owned()]);
        table.row(vec!["längere".to_owned(), "10.0 KiB".to_owned()]);
        assert_eq!(
            table.text(),
            "TOPIC        SIZE\na             1 B\nlängere  10.0 KiB\n"
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (size(1023), size(1536)),
            ("1023 B".to_owned(), "1.5 KiB".to_owned())
        );
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
        assert_eq!(span(59_999), "59 s");
        assert_eq!(span(7_500_000), "2 h 5 min");
        assert_eq!(span(7 * 86_400_000), "7 days");
        assert_eq!(
            counted(1, "topic") + &counted(2, "topic"),
            "1 topic2 topics"
        );
    }
}
