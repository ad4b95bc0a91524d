//! How much may wait in one place, whatever it waits for and in whatever order.

/// Room for batches that wait: so many, of so many bytes together.
///
/// Invariant: those in it are within both bounds, or there is one, which is longer than the room
/// and waits alone. Refused for its length it would be refused for ever: however often it is sent
/// again, it gets no shorter.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    batches: usize,
    max_bytes: usize,
    max_batches: usize,
}

impl Room {
    pub(super) fn new(max_bytes: usize, max_batches: usize) -> Self {
        Self {
            bytes: 0,
            batches: 0,
            max_bytes,
            max_batches,
        }
    }

    /// Whether a batch of `len` bytes comes in; else it has to go.
    #[must_use]
    pub(super) fn enter(&mut self, len: usize) -> bool {
        let fits = self.bytes.saturating_add(len) <= self.max_bytes || self.batches == 0;
        if self.batches == self.max_batches || !fits {
            return false;
        }
        self.bytes += len;
        self.batches += 1;
        true
    }

    /// A batch of `len` bytes, which came in, goes out.
    pub(super) fn leave(&mut self, len: usize) {
        let left = self.bytes.checked_sub(len).zip(self.batches.checked_sub(1));
        (self.bytes, self.batches) = left.expect("what leaves came in before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each length enters, or does not.
    fn enters<const N: usize>(room: &mut Room, lens: [usize; N]) -> [bool; N] {
        lens.map(|len| room.enter(len))
    }

    #[test]
    fn both_bounds_hold_and_leaving_makes_room() {
        let mut room = Room::new(100, 3);
        assert_eq!(
            enters(&mut room, [60, 41, 40, 1]),
            [true, false, true, false]
        );
        room.leave(40);
        assert_eq!(enters(&mut room, [1, 1, 0]), [true, true, false]);
        for len in [60, 1, 1] {
            room.leave(len);
        }
        assert_eq!(enters(&mut room, [100, 1]), [true, false]);
    }

    #[test]
    fn what_is_longer_than_the_room_waits_alone() {
        let mut room = Room::new(100, 3);
        assert_eq!(enters(&mut room, [1, 101]), [true, false]);
        room.leave(1);
        assert_eq!(enters(&mut room, [usize::MAX, 0, 1]), [true, false, false]);
        room.leave(usize::MAX);
        assert_eq!(enters(&mut room, [1, 99]), [true, true]);
        assert!(!Room::new(100, 0).enter(1), "no room at all");
    }

    #[test]
    #[should_panic(expected = "came in before")]
    fn nothing_leaves_that_did_not_come() {
        let mut room = Room::new(100, 3);
        assert!(room.enter(10));
        room.leave(11);
    }
}
