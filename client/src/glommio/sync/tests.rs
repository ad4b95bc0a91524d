use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

#[test]
fn a_wake_without_a_waiter_is_kept_once() {
    let (notify, count) = (Notify::new(), Arc::default());
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified()), &count).is_ready());
    assert!(poll(pin!(notify.notified()), &count).is_pending());
}

#[test]
fn one_is_woken_in_the_order_of_coming_and_all_at_once() {
    let notify = Notify::new();
    let counts: [Arc<Count>; 3] = Default::default();
    let mut first = pin!(notify.notified());
    let mut second = pin!(notify.notified());
    assert!(poll(first.as_mut(), &counts[0]).is_pending());
    assert!(poll(second.as_mut(), &counts[1]).is_pending());
    notify.notify_one();
    assert_eq!((counts[0].wakes(), counts[1].wakes()), (1, 0));
    assert!(poll(first, &counts[0]).is_ready());
    assert!(poll(second.as_mut(), &counts[1]).is_pending());
    // Not polled yet, and woken all the same: registered by the call.
    let third = pin!(notify.notified());
    notify.notify_waiters();
    assert_eq!(counts[1].wakes(), 1);
    assert!(poll(second, &counts[1]).is_ready());
    assert!(poll(third, &counts[2]).is_ready());
    assert!(poll(pin!(notify.notified()), &counts[2]).is_pending());
}

#[test]
fn a_wake_of_a_wait_that_is_cancelled_goes_to_the_next() {
    let (notify, counts) = (Notify::new(), <[Arc<Count>; 2]>::default());
    let mut second = pin!(notify.notified());
    {
        let mut first = pin!(notify.notified());
        assert!(poll(first.as_mut(), &counts[0]).is_pending());
        assert!(poll(second.as_mut(), &counts[1]).is_pending());
        notify.notify_one();
    }
    assert_eq!(counts[1].wakes(), 1);
    assert!(poll(second, &counts[1]).is_ready());
}

#[test]
fn cancelled_waits_leave_nothing_behind() {
    let (notify, count) = (Notify::new(), Arc::default());
    let (_sender, mut receiver) = mpsc::unbounded_channel::<u8>();
    for _ in 0..100_000 {
        assert!(poll(pin!(notify.notified()), &count).is_pending());
        assert!(poll(pin!(receiver.recv()), &count).is_pending());
    }
    assert!(notify.waiting.borrow().is_empty());
    drop(receiver);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_mutex_is_had_by_one() {
    let (mutex, count) = (Mutex::new(1), Arc::default());
    let Poll::Ready(mut guard) = poll(pin!(mutex.lock()), &count) else {
        panic!("it is free");
    };
    *guard += 1;
    let mut other = pin!(mutex.lock());
    assert!(poll(other.as_mut(), &count).is_pending());
    drop(guard);
    assert_eq!(count.wakes(), 1);
    let Poll::Ready(guard) = poll(other, &count) else {
        panic!("it is free again");
    };
    assert_eq!(*guard, 2);
}

#[test]
fn one_value_comes_or_the_sender_has_gone() {
    let count = Arc::default();
    let (sender, receiver) = oneshot::channel();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut(), &count).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(count.wakes(), 1);
    assert_eq!(poll(receiver, &count), Poll::Ready(Ok(7)));
    let (sender, receiver) = oneshot::channel::<u8>();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut(), &count).is_pending());
    drop(sender);
    assert_eq!(count.wakes(), 2);
    assert_eq!(poll(receiver, &count), Poll::Ready(Err(oneshot::RecvError)));
    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert_eq!(sender.send(8), Err(8));
}

#[test]
fn a_queue_keeps_order_and_ends_with_its_last_sender() {
    let count = Arc::default();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let other = sender.clone();
    let mut many = Vec::new();
    {
        let mut wait = pin!(receiver.recv_many(&mut many, 2));
        assert!(poll(wait.as_mut(), &count).is_pending());
        for value in 0..4 {
            sender.send(value).unwrap();
        }
        assert_eq!(count.wakes(), 1);
        assert_eq!(poll(wait, &count), Poll::Ready(2));
    }
    assert_eq!(many, [0, 1]);
    assert_eq!(receiver.try_recv(), Ok(2));
    drop((sender, other));
    assert_eq!(poll(pin!(receiver.recv()), &count), Poll::Ready(Some(3)));
    assert_eq!(poll(pin!(receiver.recv()), &count), Poll::Ready(None));
    assert_eq!(receiver.try_recv(), Err(mpsc::Empty));
    let (sender, receiver) = mpsc::unbounded_channel();
    drop(receiver);
    assert_eq!(sender.send(5), Err(5));
}
