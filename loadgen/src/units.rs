//! Numbers as people read them.

use crate::latency::Percentiles;

/// Such as `3.21 M`, `412 k` or `87`.
pub(crate) fn count(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.0} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// Such as `812.4 MB/s`; a MB is a million bytes, as devices count.
pub(crate) fn bytes_per_second(value: f64) -> String {
    if value >= 1e9 {
        format!("{:.2} GB/s", value / 1e9)
    } else {
        format!("{:.1} MB/s", value / 1e6)
    }
}

/// All percentiles on one line, in microseconds.
pub(crate) fn percentiles(p: &Percentiles) -> String {
    let one = |value: f64| {
        if value < 100.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}")
        }
    };
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  p99.99 {}  max {} µs",
        one(p.p50),
        one(p.p90),
        one(p.p99),
        one(p.p99_9),
        one(p.p99_99),
        one(p.max)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_get_their_prefix() {
        assert_eq!(count(3_214_000.0), "3.21 M");
        assert_eq!(count(412_345.0), "412 k");
        assert_eq!(count(87.4), "87");
        assert_eq!(bytes_per_second(1.5e9), "1.50 GB/s");
    }
}
