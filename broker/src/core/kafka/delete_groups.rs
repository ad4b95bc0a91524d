//! DeleteGroups: forgets groups that have no members, each by itself.

use leveret_engine::group::{GroupCall, Name};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{DeleteGroupsRequest, DeletedGroup, ErrorCode, Line as _, Place};

use super::api::{Api, Incoming, Read};
use super::group_names::GroupNames;
use super::groups::{Reply, ask, code};
use super::pieces::Pieces;
use super::{Asker, Known};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

/// What it costs to look at a group, in the units of slices.
const LOOKUP: usize = 256;

pub(super) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request<'a> = DeleteGroupsRequest<'a>;
    /// Where the names stand.
    type Outline = Place;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Place {
        read.request.groups.iter().place()
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, names) = (request.asker, request.outline);
        let deleting = Deleting {
            asker,
            names: GroupNames::new(request.frame.checked(), names),
            calls: Vec::new(),
            asked: Vec::new(),
            told: Vec::new(),
        };
        core.carry_out(asker.until(None), Awaits::Nobody, Box::new(deleting), now);
    }
}

/// Groups that are being deleted.
struct Deleting {
    asker: Asker,
    names: GroupNames,
    calls: Vec<(CoreId, AskGroup)>,
    /// The line of each call.
    asked: Vec<usize>,
    told: Vec<(Name, ErrorCode)>,
}

impl<P: BufPool> Job<P, AskGroup> for Deleting {
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        let Some(group) = self.names.next()? else {
            return Some(LOOKUP);
        };
        let call = GroupCall::Delete {
            group: group.clone(),
        };
        let error = match ask(known, &group, Operation::Delete, call) {
            Ok(call) => {
                self.asked.push(self.told.len());
                self.calls.push(call);
                ErrorCode::None
            }
            Err(error) => error,
        };
        self.told.push((group, error));
        Some(LOOKUP)
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.names.forget();
        true
    }

    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        std::mem::take(&mut self.calls)
    }

    fn take(&mut self, part: usize, reply: Reply) {
        let (_, error) = &mut self.told[self.asked[part]];
        *error = reply.map_or_else(|error| code(&error), |_| ErrorCode::None);
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let (asker, mut lines) = (self.asker, Pieces::default());
        for (group, error) in &self.told {
            let line = DeletedGroup {
                group,
                error: *error,
            };
            lines.line(|out| line.encode(out, DeleteGroups::KEY, asker.version));
        }
        core.kafka_respond_lines(asker, DeleteGroups::KEY, lines);
    }
}
