//! `leveret serve`: flags and file to settings; the rest is the server's.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use leveret_broker::config::{self, ConfigError, SETTINGS, SettingValue, Settings};
use leveret_broker::core::boundary::Protocol;
use leveret_broker::runtime::{Ready, Reload, StopHandle};
use leveret_broker::server;

use super::args::ServeArgs;
use super::failure::Failure;
use super::logging;

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

const HELP: &str = "When every core accepts connections, one line goes to standard output:
  ready native=ADDR kafka=ADDR http=ADDR data=DIR cores=LIST
The log goes to standard error. SIGTERM and Ctrl-C stop the broker gracefully.
With --config, SIGHUP makes it read log.filter again.

Examples:
  leveret serve --data /var/lib/leveret --cores 2
  leveret serve --native 127.0.0.1:0 --kafka off --set journal.bytes='256 MiB'
  leveret serve --config /etc/leveret/leveret.toml
";

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let settings = settings(args)?;
    let levels = logging::start(&settings)?;
    let stop = StopHandle::new().map_err(|error| {
        Failure::new(
            format!("eventfd failed: {error}"),
            "raise the limit of open files with `ulimit -n`, or allow eventfd2 in the container's seccomp profile",
        )
    })?;
    // Without a file there is nothing to read again, and a lost terminal ends the broker as usual.
    let reload = args.config.clone().map(|path| {
        let set = args.set.clone();
        Reload::new(move || levels.read_again(&path, &set))
    });
    let begin = Instant::now();
    starting(args, &settings);
    let ended = server::serve(&settings, &stop, reload, |ready, http| {
        serving(args, &settings, ready, http);
        announce(&settings, ready, http);
    });
    let exit = ended.map_err(|error| Failure::Said(error.to_string()))?;
    tracing::info!(
        version = VERSION,
        up_seconds = begin.elapsed().as_secs(),
        served = exit.served,
        "stopped"
    );
    Ok(())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// See `build.rs`.
const COMMIT: &str = env!("LEVERET_COMMIT");

/// The log's first line, before what may take long or fail.
fn starting(args: &ServeArgs, settings: &Settings) {
    tracing::info!(
        version = VERSION,
        commit = COMMIT,
        config = %config_file(args),
        settings = changed(settings),
        data = %settings.data.display(),
        "starting"
    );
}

/// Everything that an operator asks first, in one line.
fn serving(args: &ServeArgs, settings: &Settings, ready: &Ready, http: Option<SocketAddr>) {
    let address = |protocol: Protocol| {
        let bound = ready.addrs.iter().find(|bound| bound.protocol == protocol);
        bound.map_or_else(|| "off".to_owned(), |bound| bound.cores[0].to_string())
    };
    let data = std::fs::canonicalize(&settings.data).unwrap_or_else(|_| settings.data.clone());
    tracing::info!(
        version = VERSION,
        commit = COMMIT,
        config = %config_file(args),
        native = address(Protocol::Native),
        kafka = address(Protocol::Kafka),
        http = http.map_or_else(|| "off".to_owned(), |address| address.to_string()),
        data = %data.display(),
        file_system = ready.medium.file_system,
        acknowledges_up_to = server::true_level(ready.medium.level).written(),
        cpus = ?ready.cpus,
        "serving"
    );
}

fn config_file(args: &ServeArgs) -> String {
    let path = args.config.as_ref();
    path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
}

/// The settings that are not their defaults.
fn changed(settings: &Settings) -> String {
    let changed = SETTINGS.iter().filter_map(|setting| {
        let value = (setting.shown)(settings);
        (value != (setting.shown)(&Settings::default())).then(|| format!("{}={value}", setting.key))
    });
    changed.collect::<Vec<_>>().join(", ")
}

/// Prints the one line of standard output: programs wait for it and read the address from it.
fn announce(settings: &Settings, ready: &Ready, http: Option<SocketAddr>) {
    let mut line = String::from("ready");
    for bound in &ready.addrs[..] {
        let (name, address) = (bound.protocol.name(), bound.cores[0]);
        line.push_str(&format!(" {name}={address}"));
    }
    if let Some(address) = http {
        line.push_str(&format!(" http={address}"));
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

fn refused(error: ConfigError) -> Failure {
    Failure::new(
        error.to_string(),
        "`leveret serve --help` lists all settings",
    )
}

/// Defaults, then the file, then `--set` in order.
pub(super) fn from_file(path: Option<&Path>, set: &[String]) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = path {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                format!("cannot read {}: {error}", path.display()),
                "name a TOML file that this user may read with --config",
            )
        })?;
        settings.apply_toml(&text).map_err(|error| {
            Failure::new(
                format!("{}: {error}", path.display()),
                "correct the file and start again; `leveret config` prints every setting",
            )
        })?;
    }
    for assignment in set {
        settings.apply_assignment(assignment).map_err(refused)?;
    }
    Ok(settings)
}

/// Defaults, then the file, then `--set` in order, then the flags.
pub(super) fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let mut settings = from_file(args.config.as_deref(), &args.set)?;
    let data = args.data.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("data", &data),
        ("cores", &args.cores),
        ("cpus", &args.cpus),
        ("native.listen", &args.native),
        ("kafka.listen", &args.kafka),
        ("http.listen", &args.http),
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
