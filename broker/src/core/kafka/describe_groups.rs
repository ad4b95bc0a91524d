//! DescribeGroups: what groups are like, with their members.

use leveret_engine::EngineError;
use leveret_engine::group::{Description, GroupCall, GroupError, GroupReply, Name};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    DescribeGroupsRequest, DescribedGroup, DescribedGroupMember, ErrorCode, Line as _, Place,
};

use super::api::{Api, Incoming, Read};
use super::group_names::GroupNames;
use super::groups::{Reply, ask, code, state_name};
use super::pieces::Pieces;
use super::{Asker, Known};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

/// What it costs to look at a group, in the units of slices.
const LOOKUP: usize = 256;
/// The first version that says that there is no such group.
const KNOWS_GROUPS: i16 = 6;
/// Kafka's bits of what may be done with a group: read, delete, describe.
const ALLOWED: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub(super) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request<'a> = DescribeGroupsRequest<'a>;
    /// Where the names stand, and whether to tell what may be done.
    type Outline = (Place, bool);

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Self::Outline {
        let names = read.request.groups.iter().place();
        (names, read.request.include_authorized_operations)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, (names, tells_allowed)) = (request.asker, request.outline);
        let describing = Describing {
            asker,
            tells_allowed,
            names: GroupNames::new(request.frame.checked(), names),
            calls: Vec::new(),
            asked: Vec::new(),
            stage: Stage::Asking,
            told: Vec::new(),
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), Awaits::Nobody, Box::new(describing), now);
    }
}

/// Groups that are being described.
struct Describing {
    asker: Asker,
    tells_allowed: bool,
    names: GroupNames,
    calls: Vec<(CoreId, AskGroup)>,
    /// The line of each call.
    asked: Vec<usize>,
    stage: Stage,
    told: Vec<(Name, Result<Box<Description>, ErrorCode>)>,
    lines: Pieces,
}

enum Stage {
    /// Groups are being asked for.
    Asking,
    /// The lines are being put together, from this one on.
    Answering(usize),
}

impl Describing {
    /// Puts the next line of the answer together.
    fn tell(&mut self, at: usize) -> Option<usize> {
        let (group, told) = self.told.get(at)?;
        self.stage = Stage::Answering(at + 1);
        let version = self.asker.version;
        let error = match told {
            // Old versions have no word for that but a state.
            Err(ErrorCode::GroupIdNotFound) if version < KNOWS_GROUPS => ErrorCode::None,
            Err(error) => *error,
            Ok(_) => ErrorCode::None,
        };
        let members = told.iter().flat_map(|told| &told.members);
        let members = members.map(|member| DescribedGroupMember {
            member: (&*member.member).into(),
            instance: member.instance.as_deref().map(Into::into),
            client_id: (&*member.client_id).into(),
            client_host: (&*member.host).into(),
            metadata: &member.subscription,
            assignment: &member.assignment,
        });
        let (state, protocol_type, protocol) = match told {
            Ok(told) => (
                state_name(told.state),
                &*told.protocol_type,
                &*told.protocol,
            ),
            Err(ErrorCode::GroupIdNotFound) => ("Dead", "", ""),
            Err(_) => ("", "", ""),
        };
        let line = DescribedGroup {
            error,
            error_message: None,
            group: (&**group).into(),
            state: state.into(),
            protocol_type: protocol_type.into(),
            protocol: protocol.into(),
            members: members.collect(),
            authorized_operations: match self.tells_allowed && told.is_ok() {
                true => ALLOWED,
                false => DescribedGroup::NOT_ASKED,
            },
        };
        let len = self
            .lines
            .line(|out| line.encode(out, DescribeGroups::KEY, version));
        Some(LOOKUP + len)
    }
}

impl<P: BufPool> Job<P, AskGroup> for Describing {
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        if let Stage::Answering(at) = self.stage {
            return self.tell(at);
        }
        let Some(group) = self.names.next()? else {
            return Some(LOOKUP);
        };
        let call = GroupCall::Describe {
            group: group.clone(),
        };
        let told = match ask(known, &group, Operation::Describe, call) {
            Ok(call) => {
                self.asked.push(self.told.len());
                self.calls.push(call);
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            Err(error) => Err(error),
        };
        self.told.push((group, told));
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
        let (_, told) = &mut self.told[self.asked[part]];
        *told = match reply {
            Ok(GroupReply::Described(description)) => Ok(description),
            Ok(_) => Err(ErrorCode::UnknownServerError),
            Err(EngineError::Group(GroupError::UnknownGroup)) => Err(ErrorCode::GroupIdNotFound),
            Err(error) => Err(code(&error)),
        };
    }

    fn begins_answer(&mut self) -> bool {
        let begins = matches!(self.stage, Stage::Asking);
        self.stage = match begins {
            true => Stage::Answering(0),
            false => Stage::Answering(self.told.len()),
        };
        begins
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let (asker, lines) = (self.asker, self.lines);
        let (version, correlation) = (asker.version, asker.correlation);
        core.kafka_respond_pieces(asker, lines, |out, count, len| {
            DescribedGroup::encode_around(out, version, correlation, count, len)
        });
    }
}
