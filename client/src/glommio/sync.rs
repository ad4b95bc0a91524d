//! Wakes, queues and turns between tasks of one thread, with the names and meanings that tokio
//! gives them.
//!
//! Each waiting future keeps one waker here and takes it away when it is dropped, so waiting may
//! be cancelled as often as one likes. No waker is called or dropped while a cell is borrowed.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Wakes tasks: one, or a later one that comes to wait; or all that wait now.
#[derive(Debug, Default)]
pub(super) struct Notify {
    /// One task may go on without waiting.
    permit: Cell<bool>,
    /// How many times all were woken.
    rounds: Cell<u64>,
    /// Who waits, by number, in the order of their coming; without a waker once woken.
    waiting: RefCell<BTreeMap<u64, Option<Waker>>>,
    next: Cell<u64>,
}

impl Notify {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Wakes the task that has waited longest, or lets the next one that comes go on.
    pub(super) fn notify_one(&self) {
        let first = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.values_mut().find_map(Option::take)
        };
        match first {
            Some(waker) => waker.wake(),
            None => self.permit.set(true),
        }
    }

    /// Wakes all that wait, also those that have not been polled yet.
    pub(super) fn notify_waiters(&self) {
        self.rounds.set(self.rounds.get() + 1);
        let woken = std::mem::take(&mut *self.waiting.borrow_mut());
        woken.into_values().flatten().for_each(Waker::wake);
    }

    /// Waits to be woken; by [`notify_waiters`](Self::notify_waiters) from this call on.
    pub(super) fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            round: self.rounds.get(),
            number: None,
        }
    }
}

/// A wait for a [`Notify`].
#[derive(Debug)]
pub(super) struct Notified<'a> {
    notify: &'a Notify,
    round: u64,
    number: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        if self.round != notify.rounds.get() {
            return Poll::Ready(());
        }
        match self.number {
            None if notify.permit.replace(false) => return Poll::Ready(()),
            None => {
                let number = notify.next.get();
                notify.next.set(number + 1);
                self.number = Some(number);
                let waker = cx.waker().clone();
                notify.waiting.borrow_mut().insert(number, Some(waker));
            }
            Some(number) => {
                let mut waiting = notify.waiting.borrow_mut();
                let slot = waiting.get_mut(&number).expect("waits until it is ready");
                let Some(waker) = slot else {
                    waiting.remove(&number);
                    self.number = None;
                    return Poll::Ready(());
                };
                let stale = (!waker.will_wake(cx.waker()))
                    .then(|| std::mem::replace(waker, cx.waker().clone()));
                drop(waiting);
                drop(stale);
            }
        }
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else {
            return;
        };
        let left = self.notify.waiting.borrow_mut().remove(&number);
        if let Some(None) = left {
            // It was woken and has not gone on: another may.
            self.notify.notify_one();
        }
    }
}

/// A value that one task has at a time, also while it waits for something else.
#[derive(Debug, Default)]
pub(super) struct Mutex<T> {
    value: RefCell<T>,
    free: Notify,
}

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value: RefCell::new(value),
            free: Notify::new(),
        }
    }

    /// Waits until nobody has it.
    pub(super) async fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            if let Ok(value) = self.value.try_borrow_mut() {
                return MutexGuard {
                    value,
                    free: &self.free,
                };
            }
            self.free.notified().await;
        }
    }
}

/// Has the value of a [`Mutex`].
#[derive(Debug)]
pub(super) struct MutexGuard<'a, T> {
    value: RefMut<'a, T>,
    free: &'a Notify,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // Whoever is woken runs later, when the value is free.
        self.free.notify_one();
    }
}

/// One value, once.
pub(super) mod oneshot {
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::Pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    #[derive(Debug)]
    enum State<T> {
        Waiting(Option<Waker>),
        Sent(T),
        /// Taken, or the other side has gone.
        Over,
    }

    type Cell<T> = Rc<RefCell<State<T>>>;

    pub(in super::super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let cell = Rc::new(RefCell::new(State::Waiting(None)));
        (Sender(Rc::clone(&cell)), Receiver(cell))
    }

    #[derive(Debug)]
    pub(in super::super) struct Sender<T>(Cell<T>);

    impl<T> Sender<T> {
        /// Sends; gives the value back if nobody wants it any more.
        pub(in super::super) fn send(self, value: T) -> Result<(), T> {
            if let State::Over = *self.0.borrow() {
                return Err(value);
            }
            finish(&self.0, State::Sent(value));
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if matches!(*self.0.borrow(), State::Waiting(_)) {
                finish(&self.0, State::Over);
            }
        }
    }

    fn finish<T>(cell: &Cell<T>, state: State<T>) {
        if let State::Waiting(Some(waker)) = cell.replace(state) {
            waker.wake();
        }
    }

    /// Waits for the value.
    #[derive(Debug)]
    pub(in super::super) struct Receiver<T>(Cell<T>);

    /// The sender went without sending.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct RecvError;

    impl<T> Future for Receiver<T> {
        type Output = Result<T, RecvError>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let waiting = State::Waiting(Some(cx.waker().clone()));
            // What is replaced is dropped at the end, when the cell is free.
            match self.0.replace(State::Over) {
                State::Waiting(_stale) => {
                    self.0.replace(waiting);
                    Poll::Pending
                }
                State::Sent(value) => Poll::Ready(Ok(value)),
                State::Over => Poll::Ready(Err(RecvError)),
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            drop(self.0.replace(State::Over));
        }
    }
}

/// A queue from many to one. It has no bound of its own: who uses it says what bounds it.
pub(super) mod mpsc {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    #[derive(Debug)]
    struct Queue<T> {
        values: RefCell<VecDeque<T>>,
        waker: RefCell<Option<Waker>>,
        senders: Cell<usize>,
        received: Cell<bool>,
    }

    pub(in super::super) fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
        let queue = Rc::new(Queue {
            values: RefCell::default(),
            waker: RefCell::new(None),
            senders: Cell::new(1),
            received: Cell::new(true),
        });
        (UnboundedSender(Rc::clone(&queue)), UnboundedReceiver(queue))
    }

    #[derive(Debug)]
    pub(in super::super) struct UnboundedSender<T>(Rc<Queue<T>>);

    impl<T> UnboundedSender<T> {
        /// Sends; gives the value back if nobody receives any more.
        pub(in super::super) fn send(&self, value: T) -> Result<(), T> {
            if !self.0.received.get() {
                return Err(value);
            }
            self.0.values.borrow_mut().push_back(value);
            self.0.wake();
            Ok(())
        }
    }

    impl<T> Clone for UnboundedSender<T> {
        fn clone(&self) -> Self {
            self.0.senders.set(self.0.senders.get() + 1);
            Self(Rc::clone(&self.0))
        }
    }

    impl<T> Drop for UnboundedSender<T> {
        fn drop(&mut self) {
            self.0.senders.set(self.0.senders.get() - 1);
            if self.0.senders.get() == 0 {
                self.0.wake();
            }
        }
    }

    impl<T> Queue<T> {
        fn wake(&self) {
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    #[derive(Debug)]
    pub(in super::super) struct UnboundedReceiver<T>(Rc<Queue<T>>);

    /// There is no value just now.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Empty;

    impl<T> UnboundedReceiver<T> {
        /// A value, if one is there.
        pub(in super::super) fn try_recv(&mut self) -> Result<T, Empty> {
            self.0.values.borrow_mut().pop_front().ok_or(Empty)
        }

        /// Waits for a value; `None` if none will come. Cancelling it loses nothing.
        pub(in super::super) async fn recv(&mut self) -> Option<T> {
            poll_fn(|cx| self.poll(cx, |values| values.pop_front())).await
        }

        /// Waits for values and moves up to `limit` of them to `to`; returns how many, 0 if none
        /// will come. Cancelling it loses nothing.
        pub(in super::super) async fn recv_many(&mut self, to: &mut Vec<T>, limit: usize) -> usize {
            let mut some = |values: &mut VecDeque<T>| {
                let taken = values.len().min(limit);
                to.extend(values.drain(..taken));
                (taken > 0).then_some(taken)
            };
            poll_fn(|cx| self.poll(cx, &mut some)).await.unwrap_or(0)
        }

        fn poll<R>(
            &self,
            cx: &mut Context<'_>,
            take: impl FnOnce(&mut VecDeque<T>) -> Option<R>,
        ) -> Poll<Option<R>> {
            let taken = take(&mut self.0.values.borrow_mut());
            if taken.is_some() || self.0.senders.get() == 0 {
                return Poll::Ready(taken);
            }
            drop(self.0.waker.replace(Some(cx.waker().clone())));
            Poll::Pending
        }
    }

    impl<T> Drop for UnboundedReceiver<T> {
        fn drop(&mut self) {
            self.0.received.set(false);
            drop(self.0.waker.take());
            drop(self.0.values.take());
        }
    }
}

#[cfg(test)]
mod tests;
