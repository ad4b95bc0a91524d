//! Producer ids that one core may give out: blocks reserved in the topology's log, so that no id
//! is given twice, also not after a crash. What is left of a block then is lost, which is fine
//! with 2^63 of them.

/// The ids that this core may still give out.
#[derive(Debug, Default)]
pub struct ProducerIds {
    next: u64,
    end: u64,
}

impl ProducerIds {
    /// How many to reserve at a time.
    pub const BLOCK: u32 = 1000;

    /// An id that nobody has, or `None` until the next [`ProducerIds::refill`].
    pub fn take(&mut self) -> Option<i64> {
        if self.next == self.end {
            return None;
        }
        let id = self.next;
        self.next += 1;
        Some(i64::try_from(id).expect("the topology reserves ids up to i64::MAX"))
    }

    /// Gives the ids of a block that the topology's log has reserved, durably, for this core.
    /// What was left of the block before is dropped.
    ///
    /// # Panics
    /// If the block lies below an id that was given.
    pub fn refill(&mut self, first: u64, count: u32) {
        assert!(first >= self.next, "reserved blocks grow");
        self.next = first;
        self.end = first + u64::from(count);
    }
}
