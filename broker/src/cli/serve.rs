//! `leveret serve`: flags and file to settings; the rest is the server's.

use std::io::{IsTerminal, Write};

use leveret_broker::config::{self, ConfigError, Settings};
use leveret_broker::runtime::{Ready, StopHandle};
use leveret_broker::server;
use tracing_subscriber::EnvFilter;

use super::args::ServeArgs;
use super::failure::Failure;

/// The end of `leveret serve -h`.
pub(super) fn short_help() -> String {
    format!("{HELP}\n`leveret serve --help` lists every setting.")
}

/// The end of `leveret serve --help`: all settings.
pub(super) fn long_help() -> String {
    let settings = config::plain_list(96);
    format!(
        "{HELP}\nSettings, for the file (TOML; tables and dotted keys are the same) and for --set:\n{settings}"
    )
}

const HELP: &str = "Prints one line on standard output when ready:
  ready native=ADDR kafka=ADDR data=DIR cores=LIST
Logs go to standard error. SIGTERM and Ctrl-C stop it gracefully.

Examples:
  leveret serve --data /var/lib/leveret --cores 2
  leveret serve --native 127.0.0.1:0 --kafka off --set journal.bytes='256 MiB'
";

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let settings = settings(args)?;
    start_logging(&settings.log_filter)?;
    let stop = StopHandle::new().map_err(|error| {
        Failure::new(
            format!("no descriptor to be had: {error}"),
            "raise the limit of open files with `ulimit -n`",
        )
    })?;
    server::serve(&settings, &stop, |ready| announce(&settings, ready))
        .map(drop)
        .map_err(|error| Failure::Said(error.to_string()))
}

/// Prints the one line of standard output: programs wait for it and read the address from it.
fn announce(settings: &Settings, ready: &Ready) {
    let mut line = String::from("ready");
    for bound in &ready.addrs[..] {
        let (name, address) = (bound.protocol.name(), bound.cores[0]);
        line.push_str(&format!(" {name}={address}"));
    }
    let cpus: Vec<String> = ready.cpus.iter().map(ToString::to_string).collect();
    line.push_str(&format!(
        " data={} cores={}\n",
        settings.data.display(),
        cpus.join(",")
    ));
    // A closed standard output must not keep the broker from serving.
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "the ready line could not be printed");
    }
}

/// Log lines go to standard error, which standard output's one line must not be mixed with.
fn start_logging(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::new(
            format!("`log.filter` cannot be `{filter}`: {error}"),
            "write a level, such as info, or module=level pairs with commas",
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Defaults, then the file, then `--set` in order, then the flags.
pub(super) fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                format!("cannot read {}: {error}", path.display()),
                "give an existing TOML file to --config",
            )
        })?;
        settings.apply_toml(&text).map_err(|error| {
            Failure::new(
                format!("{}: {error}", path.display()),
                "correct the file and start again",
            )
        })?;
    }
    let refused = |error: ConfigError| {
        Failure::new(
            error.to_string(),
            "`leveret serve --help` lists all settings",
        )
    };
    for assignment in &args.set {
        settings.apply_assignment(assignment).map_err(refused)?;
    }
    let data = args.data.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("data", &data),
        ("cores", &args.cores),
        ("cpus", &args.cpus),
        ("native.listen", &args.native),
        ("kafka.listen", &args.kafka),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            settings
                .apply_assignment(&format!("{key}={value}"))
                .map_err(refused)?;
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_assignments() {
        let args = ServeArgs {
            set: vec!["cores=2".to_owned(), "journal.bytes=64MiB".to_owned()],
            cores: Some("1".to_owned()),
            native: Some("127.0.0.1:0".to_owned()),
            ..ServeArgs::default()
        };
        let settings = settings(&args).expect("valid");
        assert_eq!(settings.cores.map(|n| n.get()), Some(1));
        assert_eq!(settings.journal_bytes.0, 64 << 20);
        assert_eq!(settings.native_listen.port(), 0);
    }

    #[test]
    fn a_missing_file_is_named() {
        let args = ServeArgs {
            config: Some("no/such/file.toml".into()),
            ..ServeArgs::default()
        };
        let failure = settings(&args).expect_err("no such file");
        assert!(
            failure.to_string().contains("no/such/file.toml"),
            "{failure}"
        );
    }
}
