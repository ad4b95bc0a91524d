//! Sequence numbers of idempotent producers: 31 bits that wrap from `i32::MAX` to 0. It keeps no
//! window of batches; the partition does.

/// `sequence + by`, wrapping from `i32::MAX` to 0.
///
/// # Panics
/// On a negative sequence or step; "no sequence" does not advance.
pub const fn advance_sequence(sequence: i32, by: i32) -> i32 {
    assert!(sequence >= 0 && by >= 0, "sequences are not negative");
    // The masked sum of two 31-bit numbers is the sum modulo 2^31.
    sequence.wrapping_add(by) & i32::MAX
}

/// The sequence after `sequence`.
///
/// # Panics
/// On a negative sequence.
pub const fn next_sequence(sequence: i32) -> i32 {
    advance_sequence(sequence, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_to_zero_and_not_to_one() {
        assert_eq!(next_sequence(0), 1);
        assert_eq!(next_sequence(i32::MAX - 1), i32::MAX);
        assert_eq!(next_sequence(i32::MAX), 0);
        assert_eq!(advance_sequence(i32::MAX, 5), 4);
        assert_eq!(advance_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
        assert_eq!(advance_sequence(7, 0), 7);
    }

    #[test]
    #[should_panic(expected = "not negative")]
    fn no_sequence_does_not_advance() {
        next_sequence(-1);
    }
}
