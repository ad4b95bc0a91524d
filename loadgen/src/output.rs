//! Where a report goes: a table for people, JSON for machines.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;

/// Where the report goes.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write the report as JSON to FILE, or with - to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl OutputArgs {
    /// Writes the report: the table unless JSON takes its place, JSON where it was asked for.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn put(&self, report: &impl Serialize, table: impl Fn()) -> Result<(), Failure> {
        let Some(path) = &self.json else {
            table();
            return Ok(());
        };
        let mut text = serde_json::to_string_pretty(report).expect("a report has only plain keys");
        text.push('\n');
        let written = if path.as_os_str() == "-" {
            io::stdout().write_all(text.as_bytes())
        } else {
            table();
            File::create(path).and_then(|mut file| file.write_all(text.as_bytes()))
        };
        written.map_err(|error| {
            Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "choose another file by --json",
            )
        })
    }
}
