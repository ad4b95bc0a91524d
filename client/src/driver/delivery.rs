//! What becomes of a record that was sent.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::rt::{Lock, Ptr};
use crate::Result;
use crate::core::{Ack, Appended};

/// The outcome of one record: await it, in any order with others. Dropping it does not take the
/// record back.
#[derive(Debug)]
#[must_use = "a record that is not acknowledged may be lost"]
pub struct Delivery {
    outcome: Ptr<Outcome>,
    index: u32,
    /// Where its waker stands in the outcome's list.
    slot: Option<usize>,
}

/// The outcome of a batch, shared by the deliveries of its records.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Appended>>,
    wakers: Vec<Waker>,
}

impl Outcome {
    /// Completes it and wakes all that wait.
    pub(super) fn complete(&self, result: Result<Appended>) {
        let wakers = {
            let mut state = self.state.lock();
            assert!(state.result.is_none(), "a batch has one outcome");
            state.result = Some(result);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Delivery {
    pub(super) fn new(outcome: Ptr<Outcome>, index: u32) -> Self {
        Self {
            outcome,
            index,
            slot: None,
        }
    }
}

impl Future for Delivery {
    type Output = Result<Ack>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Ptr::clone(&self.outcome);
        let mut state = outcome.state.lock();
        if let Some(result) = &state.result {
            return Poll::Ready(result.clone().map(|appended| appended.ack(self.index)));
        }
        match self.slot {
            Some(slot) => state.wakers[slot].clone_from(cx.waker()),
            // One task that awaits a batch's records in turn needs one waker.
            None => {
                if state
                    .wakers
                    .last()
                    .is_some_and(|last| last.will_wake(cx.waker()))
                {
                    return Poll::Pending;
                }
                self.slot = Some(state.wakers.len());
                state.wakers.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}
