//! What is subscribed to on this core: credit, cursors, and whose turn it is.
//!
//! A cursor stands in its log, is being read, or is ready, which is: has records and waits for
//! credit or for room towards the peer. Only ready ones stand in a line, so an idle partition
//! costs nothing, whatever happens to the others. Refuses to know how anything is read or sent.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_engine::topology::TopicId;
use leveret_storage::types::{CoreId, LogId, Mono, Offset};
use leveret_wire::native::{CorrelationId, MAX_CREDIT};
use slab::Slab;

use crate::core::boundary::ConnId;
use crate::core::hop::NextRecords;

/// What a connection has under way for all of its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    /// The subscriptions, as [`Subscriptions`] names them.
    pub(super) keys: Vec<usize>,
    /// Whose turn to read it is, in `keys`.
    pub(super) turn: usize,
}

/// One subscription.
pub(super) struct Subscription {
    pub(super) conn: ConnId,
    pub(super) correlation: CorrelationId,
    /// Payload bytes that may still be pushed; below zero by less than one batch.
    credit: i64,
    /// Bytes of it that are set aside for reads under way.
    reserved: usize,
    /// Numbers of its cursors, also of those that have ended.
    pub(super) cursors: Vec<u64>,
    /// Those with records that wait for their turn.
    pub(super) ready: VecDeque<u64>,
}

/// Where a subscription stands in one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) subscription: usize,
    /// Its place in the request.
    pub(super) index: u32,
    pub(super) topic: TopicId,
    pub(super) log: LogId,
    pub(super) owner: CoreId,
    /// The offset to read on from.
    pub(super) next: Offset,
    /// Since when it stands there or is read.
    pub(super) since: Mono,
    /// Most bytes of one push.
    pub(super) max_bytes: usize,
    /// What is set aside for the read that is under way; 0 while it stands or waits in line.
    pub(super) reserved: usize,
}

/// What may be given to a peer beside what it has not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) bytes: usize,
    /// Nothing is unsent or being read for it, and something may be.
    pub(super) idle: bool,
}

/// All subscriptions of a core's connections, and their cursors.
#[derive(Default)]
pub(in crate::core) struct Subscriptions {
    subscriptions: Slab<Subscription>,
    /// By the numbers of their watches.
    cursors: HashMap<u64, Cursor, FixedState>,
    /// How many there have been.
    begun: u64,
}

impl Cursor {
    /// It waits for its log to have something at its offset.
    pub(super) fn standing(&self) -> NextRecords {
        NextRecords {
            from: self.next,
            max_bytes: self.max_bytes,
            stand: true,
        }
    }
}

impl Subscription {
    pub(super) fn new(conn: ConnId, correlation: CorrelationId, credit: u64) -> Self {
        Self {
            conn,
            correlation,
            credit: i64::try_from(credit).expect("credit is bounded"),
            reserved: 0,
            cursors: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// Adds to the credit. Whether it is within its bound then.
    pub(super) fn add_credit(&mut self, bytes: u64) -> bool {
        let most = i64::try_from(MAX_CREDIT).expect("a small number");
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_add(bytes);
        self.credit <= most
    }

    /// Bytes of credit beside what is set aside.
    pub(super) fn available(&self) -> usize {
        usize::try_from(self.credit - signed(self.reserved)).unwrap_or(0)
    }

    /// How many bytes may be read of a partition now, but for a longer first batch. A read may come to a whole batch, so one begins
    /// only where that fits, or where nothing else counts: so credit falls below zero by less than
    /// one batch, and a connection with little room gets few large reads rather than many small
    /// ones.
    pub(super) fn allowance(&self, cursor: &Cursor, room: Room, max_batch: usize) -> Option<usize> {
        let credit = self.available();
        let bytes = credit.min(room.bytes).min(cursor.max_bytes);
        let reserve = bytes.max(max_batch);
        let fits_credit = reserve <= credit || (credit > 0 && self.reserved == 0);
        let fits_peer = reserve <= room.bytes || room.idle;
        (fits_credit && fits_peer).then_some(bytes)
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.reserved += bytes;
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.reserved -= bytes;
    }

    /// So much was pushed.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.credit -= signed(bytes);
    }
}

impl Subscriptions {
    pub(super) fn insert(&mut self, subscription: Subscription) -> usize {
        self.subscriptions.insert(subscription)
    }

    pub(super) fn get(&mut self, key: usize) -> &mut Subscription {
        &mut self.subscriptions[key]
    }

    /// Which of `keys` has that correlation.
    pub(super) fn find(&self, keys: &[usize], correlation: CorrelationId) -> Option<usize> {
        let is = |key: &usize| self.subscriptions[*key].correlation == correlation;
        keys.iter().copied().find(is)
    }

    pub(super) fn keys(&self) -> Vec<usize> {
        self.subscriptions.iter().map(|(key, _)| key).collect()
    }

    /// Takes a subscription out; its cursors are the caller's to end.
    pub(super) fn remove(&mut self, key: usize) -> Subscription {
        self.subscriptions.remove(key)
    }

    /// Adds a cursor. Numbers are counted from 0 and never given twice, so a late answer finds nothing.
    pub(super) fn add_cursor(&mut self, cursor: Cursor) -> u64 {
        let number = self.begun;
        self.begun += 1;
        self.cursors.insert(number, cursor);
        let subscription = &mut self.subscriptions[cursor.subscription];
        subscription.cursors.push(number);
        number
    }

    pub(super) fn cursor(&mut self, number: u64) -> Option<&mut Cursor> {
        self.cursors.get_mut(&number)
    }

    pub(super) fn end_cursor(&mut self, number: u64) -> Option<Cursor> {
        self.cursors.remove(&number)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("memory is smaller")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId {
        slot: 0,
        generation: 0,
    };

    fn cursor(subscription: usize, max_bytes: usize) -> Cursor {
        Cursor {
            subscription,
            index: 0,
            topic: TopicId(1),
            log: LogId(1),
            owner: CoreId(0),
            next: Offset(0),
            since: Mono::default(),
            max_bytes,
            reserved: 0,
        }
    }

    fn with_credit(credit: u64) -> Subscription {
        Subscription::new(CONN, CorrelationId(1), credit)
    }

    #[test]
    fn credit_and_room_bound_what_is_read() {
        let allowed = |credit, bytes, idle| {
            let room = Room { bytes, idle };
            with_credit(credit).allowance(&cursor(0, 3000), room, 1000)
        };
        assert_eq!(allowed(0, 9000, true), None);
        assert_eq!(allowed(9000, 0, false), None);
        assert_eq!(allowed(9000, 9000, false), Some(3000));
        assert_eq!(allowed(2000, 9000, false), Some(2000));
        assert_eq!(allowed(9000, 1500, false), Some(1500));
        // A batch may need more than there is.
        assert_eq!(allowed(999, 9000, false), Some(999));
        assert_eq!(allowed(9000, 999, false), None);
        assert_eq!(allowed(9000, 999, true), Some(999));
        let mut busy = with_credit(2000);
        busy.reserve(1500);
        let room = Room {
            bytes: 9000,
            idle: false,
        };
        assert_eq!(busy.allowance(&cursor(0, 3000), room, 1000), None);
    }

    #[test]
    fn credit_falls_below_zero_by_less_than_a_batch() {
        const BATCH: usize = 1000;
        for credit in [1, 500, 1000, 1001, 2500, 10_000] {
            let mut subscription = with_credit(credit);
            let mut reads = Vec::new();
            let room = Room {
                bytes: 1 << 20,
                idle: false,
            };
            while let Some(bytes) = subscription.allowance(&cursor(0, 700), room, BATCH) {
                subscription.reserve(bytes.max(BATCH));
                reads.push(bytes);
            }
            assert!(!reads.is_empty());
            for bytes in reads {
                subscription.release(bytes.max(BATCH));
                subscription.charge(bytes.max(BATCH));
            }
            assert!(subscription.credit > -signed(BATCH), "of {credit}");
        }
    }

    #[test]
    fn more_credit_than_the_bound_is_noticed() {
        let mut subscription = with_credit(MAX_CREDIT);
        subscription.charge(10);
        assert!(subscription.add_credit(10));
        assert!(!subscription.add_credit(1));
        assert!(!with_credit(1).add_credit(u64::MAX));
    }

    #[test]
    fn a_late_answer_finds_no_cursor() {
        let mut all = Subscriptions::default();
        let key = all.insert(with_credit(1));
        let first = all.add_cursor(cursor(key, 1));
        assert!(all.end_cursor(first).is_some());
        let second = all.add_cursor(cursor(key, 1));
        assert!(all.cursor(first).is_none() && all.end_cursor(first).is_none());
        assert!(all.cursor(second).is_some());
        assert_eq!(all.get(key).cursors, [first, second]);
        assert_eq!(all.find(&[key], CorrelationId(1)), Some(key));
        assert_eq!(all.find(&[key], CorrelationId(2)), None);
    }

    #[test]
    fn cursors_are_counted_from_0_however_many_come_and_go() {
        let mut all = Subscriptions::default();
        let key = all.insert(with_credit(1));
        for count in 0..100_000 {
            let number = all.add_cursor(cursor(key, 1));
            assert_eq!(number, count);
            assert!(all.end_cursor(number).is_some());
        }
        assert!(all.cursors.is_empty());
    }
}
