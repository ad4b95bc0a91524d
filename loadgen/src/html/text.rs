//! Words and numbers of a page.

/// Text as it may stand in a page.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A latency given in microseconds, in its best unit.
pub(super) fn latency(us: f64) -> String {
    match us {
        0.0 => "0".to_owned(),
        v if v < 999.5 => format!("{} µs", digits(v)),
        v if v < 999_500.0 => format!("{} ms", digits(v / 1e3)),
        v => format!("{} s", digits(v / 1e6)),
    }
}

/// A count, such as messages per second, with its prefix.
pub(super) fn count(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v < 999.5 => digits(v),
        v if v < 999_500.0 => format!("{} k", digits(v / 1e3)),
        v if v < 999_500_000.0 => format!("{} M", digits(v / 1e6)),
        v => format!("{} G", digits(v / 1e9)),
    }
}

/// A ratio; small ones are not known to three digits.
pub(super) fn ratio(value: f64) -> String {
    format!("{}×", factor(value))
}

/// The number of a ratio, to a thousandth where it is about 1.
pub(super) fn factor(value: f64) -> String {
    let digits = match value {
        v if v < 0.1 => 2,
        v if (1.0..2.0).contains(&v) => 4,
        _ => 3,
    };
    significant(value, digits)
}

/// Three significant digits, without zeros at the end.
pub(super) fn digits(value: f64) -> String {
    significant(value, 3)
}

fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = digits - 1 - value.abs().log10().floor() as i32;
    let text = format!("{value:.*}", usize::try_from(decimals).unwrap_or(0));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `90 %`, `99 %`, `99.9 %` and so on for 1, 2, 3 nines.
pub(super) fn percent_of_nines(nines: u32) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        n => format!("99.{} %", "9".repeat(n as usize - 2)),
    }
}

/// A whole number with spaces between its thousands.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        assert_eq!(latency(73.21), "73.2 µs");
        assert_eq!(latency(999.9), "1 ms");
        assert_eq!(latency(12_340.0), "12.3 ms");
        assert_eq!(latency(7.2e9), "7200 s");
        assert_eq!(count(2_020_000.0), "2.02 M");
        assert_eq!(count(87.0), "87");
        assert_eq!(ratio(0.251), "0.251×");
        assert_eq!(ratio(0.001_471), "0.0015×");
        assert_eq!(ratio(1.001_2), "1.001×");
        assert_eq!(ratio(1.0), "1×");
        assert_eq!(digits(0.000_123_4), "0.000123");
        assert_eq!(grouped(20_000_000), "20\u{202f}000\u{202f}000");
        assert_eq!(grouped(7), "7");
        assert_eq!(percent_of_nines(4), "99.99 %");
    }

    #[test]
    fn nothing_that_was_typed_becomes_markup() {
        assert_eq!(escape("<b a='1'>\"&"), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;");
    }
}
