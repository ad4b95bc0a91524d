//! Where a report goes: a table for people, JSON for machines, a page with plots for publication.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;

/// Where the report goes.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write the report as JSON to FILE, or with - to standard output instead of the table [default:
    /// only the table]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one self-contained page with plots to FILE [default: no page]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl OutputArgs {
    /// Writes the report: the table unless JSON takes its place, JSON and the page where they were
    /// asked for.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn put(
        &self,
        report: &impl Serialize,
        table: impl Fn(),
        page: impl Fn() -> String,
    ) -> Result<(), Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        if !to_stdout {
            table();
        }
        if let Some(path) = &self.json {
            let mut text =
                serde_json::to_string_pretty(report).expect("a report has only plain keys");
            text.push('\n');
            if to_stdout {
                io::stdout()
                    .write_all(text.as_bytes())
                    .map_err(|error| cannot_write(path, &error))?;
            } else {
                write(path, &text)?;
            }
        }
        match &self.html {
            Some(path) => write(path, &page()),
            None => Ok(()),
        }
    }
}

/// Writes a file.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot write {}: {error}", path.display()),
        "choose another file",
    )
}
