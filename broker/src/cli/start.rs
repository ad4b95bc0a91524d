//! `--from`: where a consumer starts, and how the forms are told apart.

use super::rfc3339;

/// Where to start reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartAt {
    /// The first record that is still there.
    Beginning,
    /// What is appended from now on.
    End,
    /// This offset.
    Offset(u64),
    /// The first record with this timestamp or a later one, milliseconds since the Unix epoch.
    Time(i64),
}

impl StartAt {
    /// Reads the typed form: a word, digits (an offset), `@` and digits (milliseconds since the
    /// Unix epoch), or an RFC 3339 time.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(millis) = text.strip_prefix('@') {
            let parsed = millis.parse().map(Self::Time);
            return parsed.map_err(|_| {
                "give milliseconds since 1970-01-01T00:00:00Z after the @".to_owned()
            });
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            return match text.parse() {
                Ok(offset) if offset <= i64::MAX as u64 => Ok(Self::Offset(offset)),
                _ => Err(format!("the largest offset is {}", i64::MAX)),
            };
        }
        rfc3339::to_millis(text).map(Self::Time).ok_or_else(|| {
            "give beginning, end, an offset (digits), a time such as 2026-11-21T09:30:00Z, or @ and milliseconds \
             since 1970"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StartAt;

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(StartAt::parse("beginning"), Ok(StartAt::Beginning));
        assert_eq!(StartAt::parse("end"), Ok(StartAt::End));
        assert_eq!(
            StartAt::parse("1700000000000"),
            Ok(StartAt::Offset(1_700_000_000_000))
        );
        assert_eq!(
            StartAt::parse("@1700000000000"),
            Ok(StartAt::Time(1_700_000_000_000))
        );
        assert_eq!(
            StartAt::parse("2023-11-14T22:13:20Z"),
            Ok(StartAt::Time(1_700_000_000_000))
        );
        for wrong in [
            "",
            "@",
            "@x",
            "start",
            "-1",
            "9223372036854775808",
            "2023-11-14",
        ] {
            assert!(StartAt::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
