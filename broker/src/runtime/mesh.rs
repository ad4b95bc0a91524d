//! Messages between cores: a bounded single-producer ring for each ordered pair of cores.
//!
//! Sending never blocks and never drops: what does not fit waits, in order, in a queue of the
//! sender. That queue is bounded by the core's own credits, not here. The mesh knows nothing of
//! what a message means and takes no lock.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Slots of one ring: enough that a busy turn of the sender fits, small enough that all rings of
/// a core stay in its second-level cache.
const SLOTS: usize = 1024;

/// Keeps what two cores write apart from each other: two cache lines, as the prefetcher pairs
/// them.
#[repr(align(128))]
struct Padded<T>(T);

struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Messages ever taken; written by the receiver.
    head: Padded<AtomicUsize>,
    /// Messages ever put; written by the sender.
    tail: Padded<AtomicUsize>,
}

// SAFETY: a slot is written only by the one sender before it publishes `tail`, and read only by
// the one receiver before it publishes `head`; the counters order the two. T crosses threads,
// hence Send.
#[expect(
    unsafe_code,
    reason = "a ring shared by two threads; see the SAFETY lines"
)]
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    fn slot(&self, count: usize) -> *mut MaybeUninit<T> {
        self.slots[count % self.slots.len()].get()
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let (head, tail) = (*self.head.0.get_mut(), *self.tail.0.get_mut());
        for count in head..tail {
            #[expect(unsafe_code, reason = "drops messages never taken")]
            // SAFETY: slots between head and tail hold messages; nobody else has the ring.
            unsafe {
                (*self.slot(count)).assume_init_drop();
            }
        }
    }
}

/// The sending end of one ring.
struct Sender<T> {
    ring: Arc<Ring<T>>,
    tail: usize,
    /// The receiver's count as last seen; read again only when the ring seems full.
    head: usize,
}

impl<T> Sender<T> {
    fn has_room(&mut self) -> bool {
        let capacity = self.ring.slots.len();
        if self.tail - self.head == capacity {
            self.head = self.ring.head.0.load(Ordering::Acquire);
        }
        self.tail - self.head < capacity
    }

    fn try_send(&mut self, message: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(message);
        }
        #[expect(
            unsafe_code,
            reason = "writes the slot that only the sender may touch now"
        )]
        // SAFETY: tail - head < capacity, so the receiver has taken what was in this slot, and
        // will not look at it before tail is published below. This is the only sender.
        unsafe {
            (*self.ring.slot(self.tail)).write(message);
        }
        self.tail += 1;
        self.ring.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }
}

/// The receiving end of one ring.
struct Receiver<T> {
    ring: Arc<Ring<T>>,
    head: usize,
    /// The sender's count as last seen.
    tail: usize,
}

impl<T> Receiver<T> {
    fn refresh(&mut self) -> bool {
        if self.head == self.tail {
            self.tail = self.ring.tail.0.load(Ordering::Acquire);
        }
        self.head != self.tail
    }

    fn try_receive(&mut self) -> Option<T> {
        if !self.refresh() {
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "takes the message out of a slot that was published"
        )]
        // SAFETY: head < tail as published by the sender, so the slot holds a message that the
        // sender will not touch before head is published below. This is the only receiver.
        let message = unsafe { (*self.ring.slot(self.head)).assume_init_read() };
        self.head += 1;
        self.ring.head.0.store(self.head, Ordering::Release);
        Some(message)
    }
}

fn ring<T>(slots: usize) -> (Sender<T>, Receiver<T>) {
    let ring = Arc::new(Ring {
        slots: (0..slots)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
    });
    let sender = Sender {
        ring: Arc::clone(&ring),
        tail: 0,
        head: 0,
    };
    (
        sender,
        Receiver {
            ring,
            head: 0,
            tail: 0,
        },
    )
}

struct Outlet<T> {
    sender: Sender<T>,
    overflow: VecDeque<T>,
    /// Something was put since the target was last told.
    fresh: bool,
}

/// One core's ends of all its rings.
pub(super) struct Mesh<T> {
    inlets: Vec<Option<Receiver<T>>>,
    outlets: Vec<Option<Outlet<T>>>,
    /// Where the next receive begins, so that no sender starves the others.
    turn: usize,
}

impl<T: Send> Mesh<T> {
    /// The ends of `cores` cores, in their order.
    pub(super) fn build(cores: usize) -> Vec<Self> {
        Self::with_slots(cores, SLOTS)
    }

    fn with_slots(cores: usize, slots: usize) -> Vec<Self> {
        let end = |_| Self {
            inlets: (0..cores).map(|_| None).collect(),
            outlets: (0..cores).map(|_| None).collect(),
            turn: 0,
        };
        let mut ends: Vec<Self> = (0..cores).map(end).collect();
        for from in 0..cores {
            for to in (0..cores).filter(|&to| to != from) {
                let (sender, receiver) = ring(slots);
                let outlet = Outlet {
                    sender,
                    overflow: VecDeque::new(),
                    fresh: false,
                };
                ends[from].outlets[to] = Some(outlet);
                ends[to].inlets[from] = Some(receiver);
            }
        }
        ends
    }

    /// Sends without blocking, after everything sent to that core before.
    ///
    /// # Panics
    /// If `to` is the sender itself or no core.
    pub(super) fn send(&mut self, to: usize, message: T) {
        let outlet = self.outlets[to]
            .as_mut()
            .expect("a core sends to another core");
        outlet.fresh = true;
        if !outlet.overflow.is_empty() {
            outlet.overflow.push_back(message);
        } else if let Err(message) = outlet.sender.try_send(message) {
            outlet.overflow.push_back(message);
        }
    }

    /// Whether what is sent to that core now goes into the ring and waits behind nothing.
    ///
    /// # Panics
    /// If `to` is the sender itself or no core.
    pub(super) fn has_room(&mut self, to: usize) -> bool {
        let outlet = self.outlets[to]
            .as_mut()
            .expect("a core sends to another core");
        outlet.overflow.is_empty() && outlet.sender.has_room()
    }

    /// Moves overflow into rings that have room again, and calls `wake` for each core that has
    /// something new. Returns whether overflow is left.
    pub(super) fn flush(&mut self, mut wake: impl FnMut(usize)) -> bool {
        let mut left = false;
        for (to, outlet) in self.outlets.iter_mut().enumerate() {
            let Some(outlet) = outlet else { continue };
            while let Some(message) = outlet.overflow.pop_front() {
                if let Err(message) = outlet.sender.try_send(message) {
                    outlet.overflow.push_front(message);
                    break;
                }
                outlet.fresh = true;
            }
            left |= !outlet.overflow.is_empty();
            if std::mem::take(&mut outlet.fresh) {
                wake(to);
            }
        }
        left
    }

    /// Takes the next message, senders in turn.
    pub(super) fn receive(&mut self) -> Option<(usize, T)> {
        let cores = self.inlets.len();
        for step in 0..cores {
            let from = (self.turn + step) % cores;
            if let Some(message) = self.inlets[from].as_mut().and_then(Receiver::try_receive) {
                self.turn = (from + 1) % cores;
                return Some((from, message));
            }
        }
        None
    }

    /// Whether a message waits to be received.
    pub(super) fn has_inbound(&mut self) -> bool {
        self.inlets.iter_mut().flatten().any(Receiver::refresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn overflow_keeps_order_and_drains_when_there_is_room() {
        let mut ends = Mesh::with_slots(2, 4);
        let (mut b, mut a) = (ends.pop().unwrap(), ends.pop().unwrap());
        for n in 0..11 {
            a.send(1, n);
        }
        let mut woken = Vec::new();
        assert!(a.flush(|to| woken.push(to)), "seven of eleven do not fit");
        assert!(!a.has_room(1));
        let mut got = Vec::new();
        while let Some((from, n)) = b.receive() {
            assert_eq!(from, 0);
            got.push(n);
            a.flush(|to| woken.push(to));
        }
        assert_eq!(got, (0..11).collect::<Vec<_>>());
        assert!(woken.iter().all(|&to| to == 1) && woken.len() >= 2);
        assert!(!a.flush(|_| panic!("nothing new")));
        assert!(a.has_room(1));
        assert!(!b.has_inbound());
    }

    #[test]
    fn senders_take_turns() {
        let mut ends = Mesh::with_slots(3, 8);
        for from in [1, 2] {
            for n in 0..3 {
                ends[from].send(0, n);
            }
        }
        let order: Vec<usize> = std::iter::from_fn(|| ends[0].receive())
            .map(|m| m.0)
            .collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn two_threads_lose_and_reorder_nothing() {
        const COUNT: u64 = 200_000;
        let mut ends = Mesh::with_slots(2, 64);
        let (mut b, mut a) = (ends.pop().unwrap(), ends.pop().unwrap());
        let receiver = std::thread::spawn(move || {
            let mut expected = 0;
            while expected < COUNT {
                match b.receive() {
                    Some((_, n)) => {
                        assert_eq!(n, Box::new(expected));
                        expected += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        for n in 0..COUNT {
            a.send(1, Box::new(n));
        }
        while a.flush(|_| {}) {
            std::thread::yield_now();
        }
        receiver.join().unwrap();
    }

    #[test]
    fn what_was_never_taken_is_dropped_once() {
        let counted = Rc::new(());
        let (mut sender, mut receiver) = ring(4);
        for _ in 0..3 {
            assert!(sender.try_send(Rc::clone(&counted)).is_ok());
        }
        drop(receiver.try_receive());
        drop((sender, receiver));
        assert_eq!(Rc::strong_count(&counted), 1);
    }
}
