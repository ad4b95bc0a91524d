//! What an API of Kafka's protocol declares in its file, and what may wait for its answer.

use bytes::BytesMut;
use leveret_engine::shard::{FetchedPartition, Reply};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ApiKey, ApiRequest, CheckedFrame, Checking};

use super::{Asker, KafkaSettings, Known};
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::session::Blocked;
use crate::core::spread::Spread;

/// Longest request of most APIs, bytes. What is kept of one is up to some dozen times its length.
pub(super) const SMALL_REQUEST: usize = 1 << 20;

/// An API: what its requests are, and what becomes of one.
pub(super) trait Api: Sized {
    /// Its requests, as the wire has them.
    type Request<'a>: ApiRequest<'a>;
    /// What a request asks, without its frame: of what may be as much as its bytes allow, where that
    /// stands, to be read from there in slices.
    type Outline;

    /// Which one it is.
    const KEY: ApiKey = ApiKey::of::<Self::Request<'static>>();
    /// Its longest request, bytes, [`SMALL_REQUEST`] or more; what the broker takes bounds it too.
    const LONGEST: usize = SMALL_REQUEST;
    /// Whether its requests carry record batches, which stay in memory. They are read at once, however long
    /// they are: they name few things for their bytes.
    const CARRIES_RECORDS: bool = false;

    /// What a request asks.
    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline;

    /// Whether the client wants an answer to it.
    fn is_answered(_outline: &Self::Outline) -> bool {
        true
    }

    /// Begins with a request: it is answered at once, or carried out as an [`Operation`].
    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now);
}

/// A request that was read, and where.
pub(super) struct Read<'a, A: Api> {
    pub(super) request: A::Request<'a>,
    pub(super) version: i16,
    pub(super) frame: &'a [u8],
}

/// A request to begin with.
pub(super) struct Incoming<A: Api> {
    pub(super) asker: Asker,
    pub(super) outline: A::Outline,
    pub(super) frame: Frame,
}

/// A request's frame, and how far it was checked.
pub(super) struct Frame {
    pub(super) bytes: BytesMut,
    pub(super) checking: Checking,
}

impl Frame {
    /// To be read line by line.
    pub(super) fn checked(self) -> CheckedFrame {
        CheckedFrame::new(self.bytes.freeze(), self.checking)
    }
}

/// A request that is being carried out: what it asks of which cores, and what of its answer is there.
///
/// What it names is looked up first, one by one; then all that it needs is asked for, and then its answer is
/// put together, for which it may be looked up again.
pub(in crate::core) trait Operation<P: BufPool> {
    /// What later requests of the connection wait for, if they may not overtake it.
    fn blocks(&self) -> Option<Blocked> {
        None
    }

    /// Looks up the next of what the request names; a fetch wants it of `spread`. What that cost, in
    /// the units of slices; `None` if there is none.
    fn look_up(&mut self, _spread: Option<&mut Spread>, _known: &Known<'_>) -> Option<usize> {
        None
    }

    /// All that the request names was looked up: what is to be asked of whom.
    fn calls(&mut self, _settings: &KafkaSettings) -> Vec<(CoreId, Call)> {
        Vec::new()
    }

    /// The answer to one of its calls is there, numbered in their order.
    fn take(&mut self, part: usize, reply: Reply) {
        unreachable!("part {part} was not asked for: {reply:?}")
    }

    /// All that was asked for is there: whether more is to be looked up before the answer.
    fn begins_answer(&mut self) -> bool {
        false
    }

    /// As a fetch, if it is one: all that it asks for is records.
    fn as_fetch(&self) -> Option<&dyn FetchOperation> {
        None
    }

    /// As a fetch, if it is one.
    fn as_fetch_mut(&mut self) -> Option<&mut dyn FetchOperation> {
        None
    }

    /// Answers the client with what is there.
    fn finish(self: Box<Self>, core: &mut Core<P>, asker: Asker);
}

/// A request that reads records of partitions. Nobody needs its answer once the connection is gone.
pub(in crate::core) trait FetchOperation {
    /// Partitions that it names.
    fn partitions(&self) -> usize;

    /// Bytes of batches that are there.
    fn read(&self) -> usize;

    /// One partition is there; once more if it was only counted before.
    fn fetched(&mut self, line: usize, one: FetchedPartition);
}

/// What an API declares of its requests' frames.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub(super) longest: usize,
    pub(super) carries_records: bool,
}

impl Declared {
    pub(super) const fn of<A: Api>() -> Self {
        Self {
            longest: A::LONGEST,
            carries_records: A::CARRIES_RECORDS,
        }
    }
}

/// The list of what is carried out, which is what is advertised and what is answered.
macro_rules! apis {
    ($($(#[$attribute:meta])* $api:ty;)*) => {
        const APIS: &[ApiKey] = &[$($(#[$attribute])* <$api as Api>::KEY,)*];

        /// What an API declares of its requests' frames; `None` if it is not carried out.
        #[allow(unreachable_patterns, reason = "the wire may have more than is carried out")]
        fn declared(api: ApiKey) -> Option<Declared> {
            match api {
                $($(#[$attribute])* <$api as Api>::KEY => Some(Declared::of::<$api>()),)*
                _ => None,
            }
        }

        impl<P: BufPool> Core<P> {
            /// Takes a request of any of them.
            fn kafka_dispatch(&mut self, conn: ConnId, frame: Frame, permit: usize, now: Now) {
                match session::api_of(&frame.bytes) {
                    $(
                        $(#[$attribute])*
                        Some(<$api as Api>::KEY) => self.kafka_take::<$api>(conn, frame, permit, now),
                    )*
                    _ => self.kafka_unknown(conn, &frame, permit, now),
                }
            }
        }
    };
}
pub(super) use apis;
