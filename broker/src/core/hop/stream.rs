//! What a core keeps sending another: a stream, as far as its reader has given credit.
//!
//! A call has one answer, a stream has items. Its reader opens it at the core that owns what it wants, with
//! credit for a beginning, gives more when it has room, and closes it; its source sends items within the
//! credit, and ends it when there will be none any more. The reader gives no number twice, so what
//! was under way when it closed finds nothing. A new kind of streams is a file and a variant of [`News`].

use std::fmt;

use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};

use super::Content;
use super::watch::WatchPartition;
use crate::core::Core;
use crate::core::pending::Of;

/// A reader's own number for a stream of a kind, below 2^48.
pub(in crate::core) type StreamNumber<S> = Of<S, u64>;

/// A stream, as its source names it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::core) struct StreamId<S> {
    /// The core that reads it.
    pub(super) reader: CoreId,
    /// What that calls it.
    pub(super) number: StreamNumber<S>,
}

/// A kind of streams: what a reader opens.
pub(in crate::core) trait Stream: Sized + fmt::Debug + Send + 'static {
    /// What may be sent next.
    type Credit: fmt::Debug + Send + 'static;
    /// What is sent.
    type Item: fmt::Debug + Send + 'static;
    /// Why no more will be.
    type End: fmt::Debug + Send + 'static;

    /// At the source: a reader wants this.
    fn open<P: BufPool>(
        self,
        core: &mut Core<P>,
        id: StreamId<Self>,
        credit: Self::Credit,
        now: Now,
    );
    /// At the source: the reader of an open stream has room for more. It may have ended meanwhile.
    fn give_credit<P: BufPool>(
        core: &mut Core<P>,
        id: StreamId<Self>,
        credit: Self::Credit,
        now: Now,
    );
    /// At the source: the reader wants no more. It may have ended meanwhile.
    fn close<P: BufPool>(core: &mut Core<P>, id: StreamId<Self>);
    /// At the reader: something came. It may have closed the stream meanwhile.
    fn take<P: BufPool>(core: &mut Core<P>, number: StreamNumber<Self>, item: Self::Item, now: Now);
    /// At the reader: nothing more will come. It may have closed the stream meanwhile.
    fn ended<P: BufPool>(core: &mut Core<P>, number: StreamNumber<Self>, why: Self::End, now: Now);

    /// A message about a stream of this kind.
    fn news(number: StreamNumber<Self>, step: Step<Self>) -> News;
}

/// What is said of a stream.
#[derive(Debug)]
pub(in crate::core) enum Step<S: Stream> {
    /// By the reader: it is open from now on.
    Open(S, S::Credit),
    /// By the reader.
    Credit(S::Credit),
    /// By the reader: it is over.
    Close,
    /// By the source.
    Item(S::Item),
    /// By the source: it is over.
    Ended(S::End),
}

/// What one core tells another of a stream, by its kind, and which one that is.
#[derive(Debug)]
pub(in crate::core) enum News {
    Watch(StreamNumber<WatchPartition>, Step<WatchPartition>),
}

impl News {
    /// Whether the core that gets it is to carry something out.
    pub(super) fn asks(&self) -> bool {
        match self {
            Self::Watch(_, step) => step.asks(),
        }
    }
}

impl<S: Stream> Step<S> {
    fn asks(&self) -> bool {
        matches!(self, Self::Open(..) | Self::Credit(_))
    }
}

impl<P: BufPool> Core<P> {
    /// As a reader: opens a stream at the core that owns what is wanted.
    pub(in crate::core) fn open_stream<S: Stream>(
        &mut self,
        owner: CoreId,
        number: StreamNumber<S>,
        wanted: S,
        credit: S::Credit,
        now: Now,
    ) {
        self.say(owner, number, Step::Open(wanted, credit), now);
    }

    /// As a reader: more may be sent.
    pub(in crate::core) fn give_credit<S: Stream>(
        &mut self,
        owner: CoreId,
        number: StreamNumber<S>,
        credit: S::Credit,
        now: Now,
    ) {
        self.say(owner, number, Step::Credit(credit), now);
    }

    /// As a reader: nothing more is wanted.
    pub(in crate::core) fn close_stream<S: Stream>(
        &mut self,
        owner: CoreId,
        number: StreamNumber<S>,
    ) {
        let reader = self.id;
        match owner == reader {
            true => S::close(self, StreamId { reader, number }),
            false => self.send(owner, Content::Stream(S::news(number, Step::Close))),
        }
    }

    /// As a source: sends an item, or ends the stream.
    pub(super) fn tell_reader<S: Stream>(&mut self, id: StreamId<S>, step: Step<S>, now: Now) {
        self.say(id.reader, id.number, step, now);
    }

    fn say<S: Stream>(&mut self, to: CoreId, number: StreamNumber<S>, step: Step<S>, now: Now) {
        match to == self.id {
            true => self.take_step(to, number, step, now),
            false => self.send(to, Content::Stream(S::news(number, step))),
        }
    }

    /// Another core has news of a stream.
    pub(super) fn take_news(&mut self, from: CoreId, news: News, now: Now) {
        match news {
            News::Watch(number, step) => self.take_step(from, number, step, now),
        }
    }

    fn take_step<S: Stream>(
        &mut self,
        from: CoreId,
        number: StreamNumber<S>,
        step: Step<S>,
        now: Now,
    ) {
        let id = StreamId {
            reader: from,
            number,
        };
        match step {
            Step::Open(wanted, credit) => wanted.open(self, id, credit, now),
            Step::Credit(credit) => S::give_credit(self, id, credit, now),
            Step::Close => S::close(self, id),
            Step::Item(item) => S::take(self, number, item, now),
            Step::Ended(why) => S::ended(self, number, why, now),
        }
    }
}
