//! A toy, there in tests only: where a partition ends, asked of the core that owns it. It shows what a new
//! API touches: its file in the wire's codec and this one, and a line in the list of each.

use leveret_engine::shard::{OffsetSpec, Reply};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::kafka::{ErrorCode, TopicRef, ToyRequest, ToyResponse};

use super::api::{Api, Incoming, Operation, Read};
use super::topics::{place, resolve};
use super::{Asker, KafkaSettings, Known, errors};
use crate::core::Core;
use crate::core::hop::Call;

pub(super) struct Toy;

impl Api for Toy {
    type Request<'a> = ToyRequest<'a>;
    type Outline = Result<(LogId, CoreId), ErrorCode>;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let (asked, topic) = resolve(known.topology, TopicRef::Name(read.request.topic));
        place(
            known.topology,
            &asked,
            topic.as_deref(),
            read.request.partition,
        )
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, place) = (request.asker, request.outline);
        match place {
            Ok(place) => {
                let end = Err(ErrorCode::UnknownServerError);
                core.kafka_carry_out(asker, Box::new(Ending { place, end }), now);
            }
            Err(error) => core.kafka_answer(asker, &ToyResponse { error, end: -1 }, now),
        }
    }
}

struct Ending {
    place: (LogId, CoreId),
    end: Result<i64, ErrorCode>,
}

impl<P: BufPool> Operation<P> for Ending {
    fn calls(&mut self, _settings: &KafkaSettings) -> Vec<(CoreId, Call)> {
        let ((log, owner), spec) = (self.place, OffsetSpec::Latest);
        vec![(owner, Call::Offset { log, spec })]
    }

    fn take(&mut self, _part: usize, reply: Reply) {
        self.end = match reply {
            Reply::Offset(found) => Ok(found.offset.0.cast_signed()),
            Reply::Failed(error) => Err(errors::code(&error)),
            reply => unreachable!("not what was asked: {reply:?}"),
        };
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, asker: Asker) {
        let (error, end) = match self.end {
            Ok(end) => (ErrorCode::None, end),
            Err(error) => (error, -1),
        };
        core.kafka_respond(asker, &ToyResponse { error, end });
    }
}

mod tests;
