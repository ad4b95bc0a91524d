//! No call at all: for requests that this core answers by itself, in several turns.

use std::convert::Infallible;

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;

/// A call that nobody can make.
#[derive(Debug)]
pub(in crate::core) enum AskNobody {}

impl Family for AskNobody {
    type Reply = Infallible;
    type Client = Infallible;
    type Joint = ();

    fn work(&self) -> usize {
        match *self {}
    }

    fn carry_out<P: BufPool>(self, _: &mut Core<P>, _: Slot<Self>, _: Now) {
        match self {}
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: Infallible, _: Now) {
        match client {}
    }
}
