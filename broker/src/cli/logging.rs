//! The broker's log: lines on standard error, apart from the one line on standard output; as text
//! or JSON. What is logged can be changed while the broker runs.

use std::io::IsTerminal;
use std::path::Path;

use leveret_broker::config::{LogFilter, LogFormat, Settings};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::failure::Failure;
use super::serve::from_file;

/// Changes what is logged.
pub(super) struct Levels(reload::Handle<EnvFilter, Registry>);

/// Begins to log. To be called once.
pub(super) fn start(settings: &Settings) -> Result<Levels, Failure> {
    let (filter, handle) = reload::Layer::new(filter(&settings.log_filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(colours)).init();
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    Ok(Levels(handle))
}

fn filter(written: &LogFilter) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(written.as_str()).map_err(|error| {
        Failure::new(
            format!("`log.filter` cannot be `{}`: {error}", written.as_str()),
            "write a level, such as info, or module=level pairs with commas",
        )
    })
}

impl Levels {
    /// Takes `log.filter` as the file now has it. What is wrong with it is logged, and the old
    /// filter stays.
    pub(super) fn read_again(&self, path: &Path, set: &[String]) {
        let read = || {
            let settings = from_file(Some(path), set)?;
            let filter = filter(&settings.log_filter)?;
            Ok::<_, Failure>((settings.log_filter, filter))
        };
        match read() {
            Ok((written, filter)) => match self.0.reload(filter) {
                Ok(()) => tracing::info!(
                    "log.filter is `{}` now; other settings change at the next start",
                    written.as_str()
                ),
                Err(error) => tracing::error!(%error, "log.filter could not be changed"),
            },
            Err(failure) => tracing::error!("log.filter stays as it was: {failure}"),
        }
    }
}
