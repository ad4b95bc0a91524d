//! What stands in a group log.
//!
//! Each entry is sealed (see `codec`) with its own kind, version 1; bodies, little-endian, each beginning with the
//! group's name (*text*: length u16 and bytes):
//!
//! ```text
//! kind 32  offsets committed
//!   offsets u32, each: log u64 | offset i64 | leader epoch i32 | metadata text
//! kind 33  offsets removed
//!   logs u32, each u64
//! kind 34  generation opened
//!   generation i32 | protocol type text | has members u8
//! kind 35  members of a generation assigned, of several such entries
//!   generation i32 | members before them u32 | members u32, each as below
//! kind 36  generation stable
//!   generation i32 | protocol text | leader text | members u32
//! kind 37  static member replaced
//!   member id that it had, text | the member as below
//! kind 38  group removed
//!
//! member: id text | static u8, then if 1: instance id text
//!   client id text | host text | session ms u32 | rebalance ms u32
//!   subscription: length u32, bytes | topics known u8, then if 1: topics u32, each text
//!   assignment: length u32, bytes
//! ```

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::LogId;

use super::call::{Generation, Name, NewOffset};
use super::kept::KeptMember;
use crate::codec::{DecodeError, Reader, Writer, check_version};

const COMMITTED: u16 = 32;
const REMOVED: u16 = 33;
const OPENED: u16 = 34;
const ASSIGNED: u16 = 35;
const STABLE: u16 = 36;
const REPLACED: u16 = 37;
const GONE: u16 = 38;
const VERSION: u16 = 1;
/// An entry takes no more offsets or members from so many bytes on, so that it fits a commit.
const ENTRY: usize = 16 << 10;
/// Fewest bytes of a member and of an offset.
pub(super) const MEMBER_LEAST: usize = 24;
pub(super) const OFFSET_LEAST: usize = 22;

/// One change of a group that survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// Whose.
    pub(super) group: Name,
    /// Which.
    pub(super) change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Offsets are kept from here on.
    OffsetsCommitted(Vec<NewOffset>),
    /// No offsets are kept for these.
    OffsetsRemoved(Vec<LogId>),
    /// The generation has that number; no other will have it.
    GenerationOpened {
        generation: Generation,
        protocol_type: Name,
        /// Somebody is in it; otherwise the group is empty.
        inhabited: bool,
    },
    /// These are members of the generation, behind so many others. They count once it is stable.
    MembersAssigned {
        generation: Generation,
        before: u32,
        members: Vec<Arc<KeptMember>>,
    },
    /// All its members have been named, and these are in force.
    GenerationStable {
        generation: Generation,
        protocol: Name,
        leader: Name,
        members: u32,
    },
    /// A static member has another member id.
    StaticReplaced { old: Name, member: Arc<KeptMember> },
    /// The group is no more.
    GroupRemoved,
}

/// Whether a coordinator wrote that as an entry of its log.
///
/// # Errors
/// What is wrong with it.
pub fn check_entry(bytes: &[u8]) -> Result<(), DecodeError> {
    GroupEntry::decode(bytes).map(drop)
}

impl GroupEntry {
    pub(super) fn new(group: &Name, change: Change) -> Self {
        Self {
            group: Arc::clone(group),
            change,
        }
    }

    /// The bytes that stand in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new(self.kind(), VERSION, self.len());
        writer.str(&self.group);
        match &self.change {
            Change::OffsetsCommitted(offsets) => {
                writer.count(offsets.len());
                for new in offsets {
                    writer.u64(new.log.0);
                    writer.i64(new.offset);
                    writer.i32(new.leader_epoch);
                    writer.str(&new.metadata);
                }
            }
            Change::OffsetsRemoved(logs) => {
                writer.count(logs.len());
                logs.iter().for_each(|log| writer.u64(log.0));
            }
            Change::GenerationOpened {
                generation,
                protocol_type,
                inhabited,
            } => {
                writer.i32(*generation);
                writer.str(protocol_type);
                writer.u8(u8::from(*inhabited));
            }
            Change::MembersAssigned {
                generation,
                before,
                members,
            } => {
                writer.i32(*generation);
                writer.u32(*before);
                writer.count(members.len());
                members.iter().for_each(|member| put(&mut writer, member));
            }
            Change::GenerationStable {
                generation,
                protocol,
                leader,
                members,
            } => {
                writer.i32(*generation);
                writer.str(protocol);
                writer.str(leader);
                writer.u32(*members);
            }
            Change::StaticReplaced { old, member } => {
                writer.str(old);
                put(&mut writer, member);
            }
            Change::GroupRemoved => {}
        }
        writer.seal()
    }

    fn kind(&self) -> u16 {
        match &self.change {
            Change::OffsetsCommitted(_) => COMMITTED,
            Change::OffsetsRemoved(_) => REMOVED,
            Change::GenerationOpened { .. } => OPENED,
            Change::MembersAssigned { .. } => ASSIGNED,
            Change::GenerationStable { .. } => STABLE,
            Change::StaticReplaced { .. } => REPLACED,
            Change::GroupRemoved => GONE,
        }
    }

    /// Bytes of it, about.
    fn len(&self) -> usize {
        let change = match &self.change {
            Change::OffsetsCommitted(offsets) => offsets.iter().map(offset_len).sum(),
            Change::OffsetsRemoved(logs) => 8 * logs.len(),
            Change::MembersAssigned { members, .. } => members.iter().map(|m| m.bytes()).sum(),
            Change::StaticReplaced { member, .. } => member.bytes(),
            _ => 0,
        };
        self.group.len() + 64 + change
    }

    /// Reads what stands in the log.
    ///
    /// # Errors
    /// If no such entry was written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, version, mut reader) = Reader::open(bytes)?;
        if !(COMMITTED..=GONE).contains(&kind) {
            return Err(DecodeError::UnknownKind(kind));
        }
        check_version(version, VERSION..=VERSION)?;
        let group = text(&mut reader, "group")?;
        let change = change(kind, &mut reader)?;
        reader.end()?;
        Ok(Self { group, change })
    }
}

fn change(kind: u16, reader: &mut Reader<'_>) -> Result<Change, DecodeError> {
    Ok(match kind {
        COMMITTED => {
            let count = reader.count(OFFSET_LEAST, "offsets")?;
            let offset = |_| {
                Ok(NewOffset {
                    log: LogId(reader.u64("log")?),
                    offset: reader.i64("offset")?,
                    leader_epoch: reader.i32("leader epoch")?,
                    metadata: text(reader, "metadata")?,
                })
            };
            Change::OffsetsCommitted((0..count).map(offset).collect::<Result<_, _>>()?)
        }
        REMOVED => {
            let count = reader.count(8, "logs")?;
            let log = |_| reader.u64("log").map(LogId);
            Change::OffsetsRemoved((0..count).map(log).collect::<Result<_, _>>()?)
        }
        OPENED => Change::GenerationOpened {
            generation: reader.i32("generation")?,
            protocol_type: text(reader, "protocol type")?,
            inhabited: flag(reader, "has members")?,
        },
        ASSIGNED => {
            let generation = reader.i32("generation")?;
            let before = reader.u32("members before")?;
            let count = reader.count(MEMBER_LEAST, "members")?;
            let member = |_| get(reader).map(Arc::new);
            Change::MembersAssigned {
                generation,
                before,
                members: (0..count).map(member).collect::<Result<_, _>>()?,
            }
        }
        STABLE => Change::GenerationStable {
            generation: reader.i32("generation")?,
            protocol: text(reader, "protocol")?,
            leader: text(reader, "leader")?,
            members: reader.u32("members")?,
        },
        REPLACED => Change::StaticReplaced {
            old: text(reader, "member id")?,
            member: Arc::new(get(reader)?),
        },
        _ => Change::GroupRemoved,
    })
}

/// Writes a member.
pub(super) fn put(writer: &mut Writer, member: &KeptMember) {
    writer.str(&member.id);
    writer.u8(u8::from(member.instance.is_some()));
    member.instance.iter().for_each(|name| writer.str(name));
    writer.str(&member.client_id);
    writer.str(&member.host);
    writer.u32(member.session_ms);
    writer.u32(member.rebalance_ms);
    writer.bytes(&member.subscription);
    writer.u8(u8::from(member.topics.is_some()));
    if let Some(topics) = &member.topics {
        writer.count(topics.len());
        topics.iter().for_each(|topic| writer.str(topic));
    }
    writer.bytes(&member.assignment);
}

/// Reads what [`put`] wrote.
pub(super) fn get(reader: &mut Reader<'_>) -> Result<KeptMember, DecodeError> {
    let id = text(reader, "member id")?;
    let instance = flag(reader, "static")?.then(|| text(reader, "instance id"));
    let instance = instance.transpose()?;
    let (client_id, host) = (text(reader, "client id")?, text(reader, "host")?);
    let session_ms = reader.u32("session")?;
    let rebalance_ms = reader.u32("rebalance")?;
    let subscription = Bytes::copy_from_slice(reader.bytes("subscription")?);
    let topics = flag(reader, "topics known")?.then(|| {
        let count = reader.count(2, "topics")?;
        let topic = |_| text(reader, "topic");
        (0..count).map(topic).collect::<Result<Arc<[Name]>, _>>()
    });
    Ok(KeptMember {
        id,
        instance,
        client_id,
        host,
        session_ms,
        rebalance_ms,
        subscription,
        topics: topics.transpose()?,
        assignment: Bytes::copy_from_slice(reader.bytes("assignment")?),
    })
}

pub(super) fn text(reader: &mut Reader<'_>, what: &'static str) -> Result<Name, DecodeError> {
    reader.str(what).map(Name::from)
}

pub(super) fn flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match reader.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid(what)),
    }
}

fn offset_len(new: &NewOffset) -> usize {
    OFFSET_LEAST + new.metadata.len()
}

/// Offsets to keep, in entries that each fit a commit.
pub(super) fn committed(group: &Name, mut offsets: Vec<NewOffset>) -> Vec<GroupEntry> {
    let mut entries = Vec::with_capacity(1);
    while let Some(many) = enough(&offsets, offset_len) {
        let rest = offsets.split_off(many);
        entries.push(GroupEntry::new(group, Change::OffsetsCommitted(offsets)));
        offsets = rest;
    }
    entries
}

/// The members of a generation, in entries that each fit a commit, and the one that puts them in force.
pub(super) fn assigned(
    group: &Name,
    generation: Generation,
    (protocol, leader): (&Name, &Name),
    mut members: Vec<Arc<KeptMember>>,
) -> Vec<GroupEntry> {
    let short = |count: usize| u32::try_from(count).expect("members are bounded below 2^32");
    let count = short(members.len());
    let mut before = 0;
    let mut entries = Vec::new();
    while let Some(many) = enough(&members, |member| member.bytes()) {
        let rest = members.split_off(many);
        let change = Change::MembersAssigned {
            generation,
            before,
            members,
        };
        entries.push(GroupEntry::new(group, change));
        before += short(many);
        members = rest;
    }
    let change = Change::GenerationStable {
        generation,
        protocol: Arc::clone(protocol),
        leader: Arc::clone(leader),
        members: count,
    };
    entries.push(GroupEntry::new(group, change));
    entries
}

/// How many of these an entry takes: at least one, if there is one.
fn enough<T>(items: &[T], len: impl Fn(&T) -> usize) -> Option<usize> {
    let mut bytes = 0;
    let full = |item: &T| {
        bytes += len(item);
        bytes > ENTRY
    };
    let many = items.iter().position(full).unwrap_or(items.len());
    (!items.is_empty()).then(|| many.max(1))
}
