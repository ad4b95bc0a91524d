//! A toy, there in tests only: where a partition ends, asked of the core that owns it; or how many records all
//! partitions of a topic have, asked of all that own some. It shows what a new API touches: its file in the
//! wire's codec and this one, and a line in the list of each.

use leveret_engine::EngineError;
use leveret_engine::shard::{FoundOffset, OffsetSpec};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, TopicRef, ToyRequest, ToyResponse};

use super::api::{Api, Incoming, Read};
use super::topics::{find, place};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{CountRecords, FindOffset};
use crate::core::ops::{AllowedPartition, Operation};
use crate::core::places::Places;

pub(super) struct Toy;

/// What is asked for.
pub(super) enum Wanted {
    /// The end of one partition.
    End(AllowedPartition),
    /// The records of all, which each core has to count.
    Records(Vec<(CoreId, CountRecords)>),
}

impl Api for Toy {
    type Request<'a> = ToyRequest<'a>;
    type Outline = Result<Wanted, ErrorCode>;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let topic = find(
            known,
            TopicRef::Name(read.request.topic),
            Operation::Describe,
        );
        if let (Ok(topic), -1) = (&topic, read.request.partition) {
            let count = |(log, owner)| (owner, CountRecords(vec![log]));
            return Ok(Wanted::Records(
                known.topology.places(topic).map(count).collect(),
            ));
        }
        let partition = read.request.partition;
        place(known, &topic, partition).map(Wanted::End)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, wanted) = (request.asker, request.outline);
        match wanted {
            Ok(Wanted::End(place)) => {
                let end = Err(ErrorCode::UnknownServerError);
                let ending = Ending { asker, place, end };
                core.carry_out(asker.until(None), (), Box::new(ending), now);
            }
            Ok(Wanted::Records(calls)) => {
                let adding = Adding {
                    asker,
                    calls,
                    total: 0,
                };
                core.carry_out(asker.until(None), (), Box::new(adding), now);
            }
            Err(error) => core.kafka_answer(asker, &ToyResponse { error, end: -1 }, now),
        }
    }
}

struct Ending {
    asker: Asker,
    place: AllowedPartition,
    end: Result<i64, ErrorCode>,
}

impl<P: BufPool> Job<P, FindOffset> for Ending {
    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, FindOffset)> {
        vec![self.place.find_offset(OffsetSpec::Latest)]
    }

    fn take(&mut self, _part: usize, reply: Result<FoundOffset, EngineError>) {
        self.end = match reply {
            Ok(found) => Ok(found.offset.0.cast_signed()),
            Err(error) => Err(errors::code(&error)),
        };
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let (error, end) = match self.end {
            Ok(end) => (ErrorCode::None, end),
            Err(error) => (error, -1),
        };
        core.kafka_respond(self.asker, &ToyResponse { error, end });
    }
}

struct Adding {
    asker: Asker,
    calls: Vec<(CoreId, CountRecords)>,
    total: u64,
}

impl<P: BufPool> Job<P, CountRecords> for Adding {
    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, CountRecords)> {
        std::mem::take(&mut self.calls)
    }

    fn take(&mut self, _part: usize, count: u64) {
        self.total += count;
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let (error, end) = (ErrorCode::None, self.total.cast_signed());
        core.kafka_respond(self.asker, &ToyResponse { error, end });
    }
}

mod tests;
