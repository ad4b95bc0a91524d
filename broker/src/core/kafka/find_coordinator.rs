//! FindCoordinator: says at once, and in words, that there is none. Without an answer some
//! clients (librdkafka) wait for one for ever; with an error that can be retried all would.

use std::borrow::Cow;

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    Coordinator, CoordinatorKeys, ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::Asker;
use crate::core::Core;

/// Keys of a request that are told why in words, so that an answer is not many times the request.
const MOST_TOLD: usize = 100;
/// The number that stands for transactions.
const TRANSACTION: i8 = 1;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_find_coordinator(
        &mut self,
        asker: Asker,
        request: &FindCoordinatorRequest<'_>,
        now: Now,
    ) {
        let message = match request.key_type {
            TRANSACTION => "transactions are not built yet: produce without a transactional id",
            _ => {
                "consumer groups are not built yet: assign partitions instead of subscribing with a \
                 group id"
            }
        };
        let none = |(index, key)| {
            let message = (index < MOST_TOLD).then_some(Cow::Borrowed(message));
            Coordinator::none(Cow::Borrowed(key), ErrorCode::UnsupportedVersion, message)
        };
        let response = FindCoordinatorResponse {
            throttle_time_ms: 0,
            coordinators: match request.keys {
                CoordinatorKeys::One(key) => vec![none((0, key))],
                CoordinatorKeys::Many(keys) => (0..).zip(keys).map(none).collect(),
            },
        };
        self.kafka_answer(asker, &response, now);
    }
}
