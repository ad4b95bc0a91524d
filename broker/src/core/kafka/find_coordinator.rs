//! FindCoordinator: which node is to be asked about a group. Any is: what it does not decide itself it passes on, so
//! only speed depends on it.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    Coordinator, CoordinatorKeys, CoordinatorType, ErrorCode, FindCoordinatorRequest,
    FindCoordinatorResponse,
};

use super::api::{Api, Incoming, Read};
use super::{Known, errors};
use crate::core::Core;
use crate::core::ops::Operation;

/// Names that one request may ask about: each is answered with the address of a node.
const MOST_KEYS: usize = 4096;

pub(super) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request<'a> = FindCoordinatorRequest<'a>;
    type Outline = FindCoordinatorResponse<'static>;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let kind = read.request.coordinator_type;
        let coordinators = match read.request.keys {
            CoordinatorKeys::One(key) => vec![coordinator(known, kind, key)],
            CoordinatorKeys::Several(keys) if keys.len() > MOST_KEYS => {
                let refused = |key| told(key, Err((ErrorCode::InvalidRequest, String::new())));
                keys.iter().take(1).map(refused).collect()
            }
            CoordinatorKeys::Several(keys) => {
                let of = |key| coordinator(known, kind, key);
                keys.iter().map(of).collect()
            }
        };
        FindCoordinatorResponse {
            throttle_time_ms: 0,
            coordinators,
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        core.kafka_answer(request.asker, &request.outline, now);
    }
}

fn coordinator(known: &Known<'_>, kind: CoordinatorType, key: &str) -> Coordinator<'static> {
    if kind == CoordinatorType::TRANSACTION {
        let why = "this broker has no transactions yet".to_owned();
        return told(key, Err((ErrorCode::CoordinatorNotAvailable, why)));
    }
    if kind != CoordinatorType::GROUP {
        let why = "there are coordinators of groups only".to_owned();
        return told(key, Err((ErrorCode::InvalidRequest, why)));
    }
    if key.is_empty() {
        return told(key, Err((ErrorCode::InvalidGroupId, String::new())));
    }
    let place = known.group(key, Operation::Describe);
    let broker = place.map(|place| known.kafka.broker_of(place.owner()));
    match broker {
        Ok(broker) => told(key, Ok((broker.node, broker.host.clone(), broker.port))),
        Err(refused) => told(key, Err(errors::not_allowed(&refused))),
    }
}

fn told(key: &str, node: Result<(i32, String, u16), (ErrorCode, String)>) -> Coordinator<'static> {
    let key = key.to_owned().into();
    match node {
        Ok((node_id, host, port)) => Coordinator {
            key,
            node_id,
            host: host.into(),
            port: port.into(),
            error: ErrorCode::None,
            error_message: None,
        },
        Err((error, message)) => Coordinator {
            key,
            node_id: -1,
            host: "".into(),
            port: -1,
            error,
            error_message: (!message.is_empty()).then(|| message.into()),
        },
    }
}
