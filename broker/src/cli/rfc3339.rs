//! Times as people type them: RFC 3339, read to milliseconds. Knows no time zones by name.

/// Milliseconds since the Unix epoch of an RFC 3339 date-time (section 5.6); digits below the
/// millisecond are dropped. `None` if it is not one. A leap second counts as the second after it.
pub(crate) fn to_millis(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| digits(bytes.get(from..from + len)?);
    let is = |at: usize, byte: u8| bytes.get(at).is_some_and(|b| b.eq_ignore_ascii_case(&byte));
    let separated = bytes
        .get(10)
        .is_some_and(|b| matches!(b, b'T' | b't' | b' '));
    if !(is(4, b'-') && is(7, b'-') && separated && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(bytes.get(19..)?)?;
    let minutes_east = offset(zone)?;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - minutes_east * 60) * 1000 + millis)
}

/// Milliseconds of an optional fraction of a second, and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let len = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if len == 0 {
        return None;
    }
    let mut thousandths = [b'0'; 3];
    let kept = len.min(3);
    thousandths[..kept].copy_from_slice(&after[..kept]);
    Some((digits(&thousandths)?, &after[len..]))
}

/// Minutes that local time is ahead of UTC, from `Z` or `+HH:MM`.
fn offset(zone: &[u8]) -> Option<i64> {
    if zone.eq_ignore_ascii_case(b"z") {
        return Some(0);
    }
    let &[sign, h1, h2, b':', m1, m2] = zone else {
        return None;
    };
    let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    match sign {
        b'+' => Some(hours * 60 + minutes),
        b'-' => Some(-(hours * 60 + minutes)),
        _ => None,
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leap_days_before =
        |y: i64| (y - 1).div_euclid(4) - (y - 1).div_euclid(100) + (y - 1).div_euclid(400);
    let years = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    let months: i64 = (1..month).map(|m| days_in(year, m)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::to_millis;

    #[test]
    fn known_times() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14t23:43:20.25+01:30", 1_700_000_000_250),
            ("2023-11-14 17:13:20.1239-05:00", 1_700_000_000_123),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] {
            assert_eq!(to_millis(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-13-14T22:13:20Z",
            "2023-02-29T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+25:00",
            "2023-11-14T22:13:20Zx",
            "2023-11-14T22:13:2OZ",
            "２023-11-14T22:13:20Z",
        ] {
            assert_eq!(to_millis(text), None, "{text}");
        }
    }
}
