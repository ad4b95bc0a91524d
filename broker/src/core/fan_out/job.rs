//! What a request is that several answers complete, whatever its protocol, and what joins its answers, by their
//! family.

use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};

use super::{FanOut, FanOutKey};
use crate::core::Core;
use crate::core::hop::Family;
use crate::core::net::Pause;
use crate::core::ops::Known;

/// A request that is being carried out, as several answers complete it: what it asks of which cores, and what of its answer is there.
///
/// What it names is looked up first, one by one; then all that it needs is asked for, and then its answer is
/// put together, for which it may be looked up again.
pub(in crate::core) trait Job<P: BufPool, F: Family> {
    /// What later requests of the connection wait for, if they may not overtake it.
    fn blocks(&self) -> Option<Pause> {
        None
    }

    /// Looks up the next of what the request names. What that cost, in the units of slices; `None` if
    /// there is none.
    fn look_up(&mut self, _joint: &mut F::Joint, _known: &Known<'_>) -> Option<usize> {
        None
    }

    /// All that the request names was looked up: whether nothing of its bytes is kept from here on. Then its
    /// permit comes back before it waits for anybody.
    fn lets_bytes_go(&mut self) -> bool {
        false
    }

    /// All that the request names was looked up: what is to be asked of whom. A fetch asks for what was
    /// wanted of its joint.
    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, F)> {
        Vec::new()
    }

    /// A piece of an answer is there, for a place: of calls, their number in the order asked; of a fetch, the line
    /// that was wanted, once more if it was only counted before.
    fn take(&mut self, place: usize, piece: Piece<F>);

    /// All that was asked for is there: whether more is to be looked up before the answer.
    fn begins_answer(&mut self) -> bool {
        false
    }

    /// Lines of a fetch's answer. The answers of all others are complete piece by piece, or as long as their
    /// requests are.
    fn lines(&self) -> usize {
        0
    }

    /// Bytes of batches that are there.
    fn read(&self) -> usize {
        0
    }

    /// Answers the client with what is there.
    fn finish(self: Box<Self>, core: &mut Core<P>, now: Now);
}

/// What a request takes of an answer.
pub(in crate::core) type Piece<F> = <<F as Family>::Joint as Joint<F>>::Piece;

/// What joins the answers of a family that complete a request together, and what happens to the request meanwhile.
pub(in crate::core) trait Joint<F: Family>: Sized {
    /// What a request takes of an answer.
    type Piece;

    /// A part is there: each of its pieces is given on, with its place. Bytes that were read and are not given
    /// on.
    fn take(
        &mut self,
        part: usize,
        reply: F::Reply,
        give: &mut dyn FnMut(usize, Self::Piece),
    ) -> usize;

    /// The request is to be answered with what there is, without waiting.
    fn make_haste(&mut self) {}

    /// A call is about to leave that had to wait for its turn.
    fn amend(&self, _call: &mut F) {}

    /// A request has begun.
    fn begins<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>) {}

    /// All that a request names was looked up: it asks for what its joint wants.
    fn ask_first<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>, _now: Now) {}

    /// Nothing that was asked for is missing: the request asks on, if it is not complete. Whether something is
    /// under way then, or the request is over.
    fn ask_on<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>, _now: Now) -> bool {
        false
    }

    /// A part is there, or all are asked for.
    fn goes_on<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>, _now: Now) {}

    /// A request goes on that stood in line.
    fn goes_on_in_turn<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>, _now: Now) {}

    /// A request was taken out.
    fn ends<P: BufPool>(_core: &mut Core<P>, _key: FanOutKey<F>, _fan_out: &FanOut<P, F>) {}
}

/// Each answer is a piece, and nothing happens meanwhile.
impl<F: Family> Joint<F> for () {
    type Piece = F::Reply;

    fn take(
        &mut self,
        part: usize,
        reply: F::Reply,
        give: &mut dyn FnMut(usize, F::Reply),
    ) -> usize {
        give(part, reply);
        0
    }
}
