//! Counts what is live, so that a target can say how much a run took at most.

pub(crate) use leveret_testkit::allocator::peak_of;

#[global_allocator]
static ALLOCATOR: leveret_testkit::allocator::Counting = leveret_testkit::allocator::Counting;

/// Fails with both numbers if a run took more than it may.
///
/// # Errors
/// The numbers.
pub(crate) fn within(peak: usize, bound: usize) -> Result<(), String> {
    if peak <= bound {
        return Ok(());
    }
    Err(format!("{peak} bytes live at once, declared bound {bound}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_counts() {
        assert!(peak_of(|| drop(std::hint::black_box(vec![1u8; 100_000]))).1 >= 100_000);
        assert_eq!(peak_of(|| ()).1, 0);
        assert!(within(2, 1).is_err());
    }
}
