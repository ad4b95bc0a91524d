//! ListGroups: which groups there are, asked of all who decide about some.

use std::collections::BTreeMap;

use leveret_engine::group::{GroupCall, GroupKind, GroupReply, GroupState, List, Listing, Name};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{Array, ErrorCode, Line as _, ListGroupsRequest, ListedGroup};

use super::api::{Api, Incoming, Read};
use super::groups::{Reply, code, state_name};
use super::pieces::Pieces;
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::{AllowedGroup, Operation, Resource};

pub(super) struct ListGroups;

/// What is wanted.
pub(super) struct Wanted {
    states: Vec<GroupState>,
    kinds: Vec<GroupKind>,
    /// No group is like that.
    none: bool,
}

impl Api for ListGroups {
    type Request<'a> = ListGroupsRequest<'a>;
    type Outline = Wanted;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Wanted {
        let (states, types) = (read.request.states, read.request.types);
        let asks_state = states.is_some_and(|states| !states.is_empty());
        let asks_type = types.is_some_and(|types| !types.is_empty());
        let mut wanted = Wanted {
            states: Vec::new(),
            kinds: Vec::new(),
            none: false,
        };
        for word in words(states) {
            let all = GroupState::ALL.into_iter();
            let named = |state: &GroupState| state_name(*state).eq_ignore_ascii_case(&word);
            let new = |state: &GroupState| !wanted.states.contains(state);
            let found: Vec<_> = all.filter(named).filter(new).collect();
            wanted.states.extend(found);
        }
        if words(types).any(|word| word == "classic") {
            wanted.kinds.push(GroupKind::Classic);
        }
        let unknown_state = asks_state && wanted.states.is_empty();
        wanted.none = unknown_state || asks_type && wanted.kinds.is_empty();
        wanted
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let asker = request.asker;
        let lister = Lister {
            asker,
            wanted: request.outline,
            to_ask: None,
            asked: Vec::new(),
            error: ErrorCode::None,
            found: BTreeMap::new(),
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), Awaits::Nobody, Box::new(lister), now);
    }
}

fn words<'a>(words: Option<Array<'a, &'a str>>) -> impl Iterator<Item = String> + use<'a> {
    let words = words.into_iter().flatten();
    words.map(str::to_ascii_lowercase)
}

/// A list that is being made.
struct Lister {
    asker: Asker,
    wanted: Wanted,
    /// Who is to be asked, and after which group; `None` before it is known.
    to_ask: Option<Vec<(AllowedGroup, Option<Name>)>>,
    /// Who was asked by each call of this round.
    asked: Vec<AllowedGroup>,
    error: ErrorCode,
    /// In the order of their names, whoever decides about them.
    found: BTreeMap<Name, Listing>,
    lines: Pieces,
}

impl<P: BufPool> Job<P, AskGroup> for Lister {
    /// Puts a line of the answer together.
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        if self.to_ask.as_ref().is_none_or(|more| !more.is_empty()) {
            return None;
        }
        let (_, listing) = self.found.pop_first()?;
        let resource = Resource::Group(&listing.group);
        if known.authorize(Operation::Describe, resource).is_err() {
            return Some(64);
        }
        let line = ListedGroup {
            group: (&*listing.group).into(),
            protocol_type: (&*listing.protocol_type).into(),
            state: state_name(listing.state).into(),
            group_type: match listing.kind {
                GroupKind::Classic => "classic".into(),
            },
        };
        let version = self.asker.version;
        let len = self
            .lines
            .line(|out| line.encode(out, ListGroups::KEY, version));
        Some(64 + len)
    }

    fn lets_bytes_go(&mut self) -> bool {
        true
    }

    fn calls(&mut self, known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        let to_ask = match self.to_ask.take() {
            Some(to_ask) => to_ask,
            None if self.wanted.none => Vec::new(),
            None => match known.all_groups() {
                Ok(all) => all.into_iter().map(|place| (place, None)).collect(),
                Err(refused) => {
                    self.error = errors::not_allowed(&refused).0;
                    Vec::new()
                }
            },
        };
        self.to_ask = Some(Vec::new());
        self.asked = to_ask.iter().map(|(place, _)| *place).collect();
        let call = |(place, after): (AllowedGroup, Option<Name>)| {
            place.ask(GroupCall::List(List {
                states: self.wanted.states.clone(),
                kinds: self.wanted.kinds.clone(),
                after,
            }))
        };
        to_ask.into_iter().map(call).collect()
    }

    fn take(&mut self, part: usize, reply: Reply) {
        match reply {
            Ok(GroupReply::Listed(found, next)) => {
                let named = found.into_iter().map(|of| (of.group.clone(), of));
                self.found.extend(named);
                let to_ask = self.to_ask.get_or_insert_default();
                to_ask.extend(next.map(|next| (self.asked[part], Some(next))));
            }
            Ok(_) => self.error = ErrorCode::UnknownServerError,
            Err(error) => self.error = code(&error),
        }
    }

    fn begins_answer(&mut self) -> bool {
        let more = self.to_ask.as_ref().is_some_and(|more| !more.is_empty());
        more || !self.found.is_empty()
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let (asker, error) = (self.asker, self.error);
        let of = (asker.version, asker.correlation);
        core.kafka_respond_pieces(asker, self.lines, |out, count, len| {
            ListedGroup::encode_around(out, of, error, count, len)
        });
    }
}
