//! Forms of values: how each is written, read and bounded.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use leveret_storage::types::Level;

/// A type that a setting can have.
pub trait SettingValue: Sized {
    /// What values look like, for help and errors.
    const FORM: &'static str;

    /// Reads the written form.
    ///
    /// # Errors
    /// What would have been right, as half a sentence.
    fn parse(text: &str) -> Result<Self, String>;

    /// The written form, which [`SettingValue::parse`] reads as this value again.
    fn written(&self) -> String;

    /// It as a number, which stands between its bounds: bytes of a size, milliseconds of a time. `None` of what
    /// is none.
    fn magnitude(&self) -> Option<u128> {
        None
    }
}

/// Parses `text` and holds it against inclusive bounds, written in the same form.
pub(super) fn checked<T: SettingValue>(
    text: &str,
    bounds: Option<(&str, &str)>,
) -> Result<T, String> {
    let value = T::parse(text)?;
    if let (Some((low, high)), Some(at)) = (bounds, value.magnitude()) {
        let bound = |text| {
            let parsed = T::parse(text).expect("the declared bound is a valid value");
            parsed.magnitude().expect("a bounded type has magnitudes")
        };
        if at < bound(low) || at > bound(high) {
            return Err(format!("it must be from {low} to {high}"));
        }
    }
    Ok(value)
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// CPUs by number, in the order given, without repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<u32>);

const BYTE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("days", 86_400_000),
    ("day", 86_400_000),
];

/// Reads `NUMBER [UNIT]` and gives the number times its unit. Without a unit: the first one's.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor = match unit {
        "" => units.first()?.1,
        _ => {
            units
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The number in the largest unit that divides it; a single day is 24 h.
fn in_unit(number: u64, units: &[(&str, u64)]) -> String {
    let largest = units
        .iter()
        .filter(|(_, factor)| number > 0 && number.is_multiple_of(*factor))
        .filter(|(unit, factor)| *unit != "days" || number > *factor);
    let (unit, factor) = largest
        .max_by_key(|(_, factor)| *factor)
        .unwrap_or(&units[0]);
    format!("{} {unit}", number / factor)
}

impl SettingValue for ByteSize {
    const FORM: &'static str = "size such as 64 MiB";

    fn parse(text: &str) -> Result<Self, String> {
        let bytes = with_unit(text, BYTE_UNITS);
        bytes
            .map(Self)
            .ok_or_else(|| "it must be a size, such as 65536 or \"64 MiB\"".to_owned())
    }

    fn written(&self) -> String {
        in_unit(self.0, BYTE_UNITS)
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(self.0))
    }
}

impl SettingValue for Duration {
    const FORM: &'static str = "time such as 7 days";

    fn parse(text: &str) -> Result<Self, String> {
        let ms = with_unit(text, TIME_UNITS);
        ms.map(Self::from_millis)
            .ok_or_else(|| "it must be a time, such as \"500 ms\" or \"7 days\"".to_owned())
    }

    fn written(&self) -> String {
        let ms = u64::try_from(self.as_millis()).expect("it was read from a number of this size");
        in_unit(ms, &TIME_UNITS[..TIME_UNITS.len() - 1])
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.as_millis())
    }
}

impl SettingValue for u32 {
    const FORM: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "it must be a whole number".to_owned())
    }

    fn written(&self) -> String {
        self.to_string()
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(*self))
    }
}

impl SettingValue for NonZeroU16 {
    const FORM: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "it must be a whole number of at least 1".to_owned())
    }

    fn written(&self) -> String {
        self.to_string()
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(self.get()))
    }
}

impl SettingValue for bool {
    const FORM: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "it must be true or false".to_owned())
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl SettingValue for PathBuf {
    const FORM: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("it must be a path".to_owned())
        } else {
            Ok(Self::from(text))
        }
    }

    fn written(&self) -> String {
        self.display().to_string()
    }
}

impl SettingValue for SocketAddr {
    const FORM: &'static str = "IP:PORT";

    fn parse(text: &str) -> Result<Self, String> {
        let written = text
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        let address = written.as_deref().unwrap_or(text).parse();
        address
            .map_err(|_| "it must be an IP address and a port, such as 127.0.0.1:7654".to_owned())
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

/// Where a listener listens that may be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// It does not listen.
    Off,
    /// It listens there; port 0 picks a free one.
    At(SocketAddr),
}

impl SettingValue for Listen {
    const FORM: &'static str = "IP:PORT or off";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = SocketAddr::parse(text);
        address
            .map(Self::At)
            .map_err(|reason| format!("{reason}, or off"))
    }

    fn written(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::At(address) => address.written(),
        }
    }
}

/// A size, or one that the machine decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoSize {
    /// What is right for the machine; the setting says how that is found.
    Auto,
    /// So much.
    Of(ByteSize),
}

impl SettingValue for AutoSize {
    const FORM: &'static str = "size such as 64 MiB, or auto";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let size = ByteSize::parse(text);
        size.map(Self::Of)
            .map_err(|reason| format!("{reason}, or auto"))
    }

    fn written(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Of(size) => size.written(),
        }
    }

    fn magnitude(&self) -> Option<u128> {
        match self {
            Self::Auto => None,
            Self::Of(size) => size.magnitude(),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

impl SettingValue for LogFormat {
    const FORM: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it must be text or json".to_owned()),
        }
    }

    fn written(&self) -> String {
        let name = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        name.to_owned()
    }
}

/// What is logged: levels, and levels of modules, with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

/// What may stand for a level.
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl LogFilter {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for LogFilter {
    const FORM: &'static str = "level, or module=level, with commas";

    fn parse(text: &str) -> Result<Self, String> {
        let is_level = |level: &str| LOG_LEVELS.contains(&level.to_ascii_lowercase().as_str());
        let is_module = |name: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
            !name.is_empty() && name.chars().all(letter)
        };
        for part in text.split(',').map(str::trim) {
            let (module, level) = match part.rsplit_once('=') {
                Some((module, level)) => (Some(module.trim()), level.trim()),
                None => (None, part),
            };
            if !is_level(level) || !module.is_none_or(is_module) {
                let levels = LOG_LEVELS.join(", ");
                return Err(format!(
                    "`{part}` is neither a level ({levels}) nor a module with one, such as \
                     leveret_storage=debug"
                ));
            }
        }
        Ok(Self(text.to_owned()))
    }

    fn written(&self) -> String {
        self.0.clone()
    }
}

/// What clients are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertise {
    /// The address that is listened on.
    Listen,
    /// Each core on a port of its own.
    Core,
    /// This host and port, as they are written.
    At {
        /// A name or an address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// Longest host name that DNS knows.
const MAX_HOST: usize = 253;

/// Whether a host is the unspecified address, also as resolvers read short forms of it (`0`).
fn is_every_address(host: &str) -> bool {
    let zeros = host.chars().all(|c| matches!(c, '0' | '.'));
    let address = host.parse::<IpAddr>();
    zeros || address.is_ok_and(|address| address.to_canonical().is_unspecified())
}

impl SettingValue for Advertise {
    const FORM: &'static str = "HOST:PORT, listen or core";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "it must be a host and a port, such as broker.example.org:9092, or listen, or core";
        match text {
            "listen" => return Ok(Self::Listen),
            "core" => return Ok(Self::Core),
            _ => {}
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let written = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > MAX_HOST || port == 0 || !host.chars().all(written) {
            return Err(wrong().to_owned());
        }
        if is_every_address(host) {
            return Err(
                "that is every address of a machine, which no client can connect to: it is the host \
                 that clients reach this machine by, and a port"
                    .to_owned(),
            );
        }
        let host = host.to_owned();
        Ok(Self::At { host, port })
    }

    fn written(&self) -> String {
        match self {
            Self::Listen => "listen".to_owned(),
            Self::Core => "core".to_owned(),
            Self::At { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::At { host, port } => format!("{host}:{port}"),
        }
    }
}

impl SettingValue for Level {
    const FORM: &'static str = "synced, written or memory";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "synced" => Ok(Self::Synced),
            "written" => Ok(Self::Written),
            "memory" => Ok(Self::Memory),
            _ => Err("it must be synced, written or memory".to_owned()),
        }
    }

    fn written(&self) -> String {
        let name = match self {
            Self::Synced => "synced",
            Self::Written => "written",
            Self::Memory => "memory",
        };
        name.to_owned()
    }
}

/// Highest CPU number that a list may name: what `cpu_set_t` of the C library holds.
const MAX_CPU: u32 = 1023;

impl SettingValue for CpuList {
    const FORM: &'static str = "CPUs such as 0-3,6";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("it must be a list of CPUs from 0 to {MAX_CPU}, such as 0-3,6");
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u32 = first.trim().parse().map_err(|_| wrong())?;
            let last: u32 = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last > MAX_CPU {
                return Err(wrong());
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(format!("it names CPU {cpu} twice"));
                }
                cpus.push(cpu);
            }
        }
        Ok(Self(cpus))
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, cpu) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{cpu}")?;
        }
        Ok(())
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const FORM: &'static str = T::FORM;

    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(None);
        }
        T::parse(text)
            .map(Some)
            .map_err(|reason| format!("{reason}, or none"))
    }

    fn written(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::written)
    }

    fn magnitude(&self) -> Option<u128> {
        self.as_ref().and_then(T::magnitude)
    }
}
