//! What an API of Kafka's protocol declares in its file.

use bytes::BytesMut;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ApiKey, ApiRequest, CheckedFrame, Checking};

use super::{Asker, Known};
use crate::core::Core;

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

    /// Begins with a request: it is answered at once, or carried out as an
    /// [`Job`](crate::core::fan_out::Job).
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
