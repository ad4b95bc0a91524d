//! Values of flags that are not settings but are written like them.

use std::time::Duration;

use leveret_broker::config::{ByteSize, SettingValue};

/// A size in bytes, such as `10GiB`.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    ByteSize::parse(text).map(|size| size.0)
}

/// A time with its unit, such as `7 days`; without one, milliseconds, as in the settings.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    Duration::parse(text)
}

/// A time where people expect seconds: without a unit it is in seconds.
pub(crate) fn period_seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Duration::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_of_a_timeout_is_seconds() {
        assert_eq!(period_seconds("120"), Ok(Duration::from_secs(120)));
        assert_eq!(period_seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(period("500"), Ok(Duration::from_millis(500)));
        assert!(period_seconds("soon").is_err());
        assert_eq!(byte_size("1KiB"), Ok(1024));
    }
}
