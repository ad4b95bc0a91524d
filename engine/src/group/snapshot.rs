//! All groups of a coordinator as bytes, which stand for all entries below an ordinal: pieces that stand one behind
//! the other.
//!
//! Each is sealed (see `codec`) with kind 4, version 1; the body, little-endian (*text*: length u16 and bytes):
//!
//! ```text
//! length of the piece u32 | number of the piece u32 | items u32, each:
//!   1  a group, which the items behind it belong to
//!      u8 | name text | generation i32 | protocol type text | empty since i64 ms, or -2^63
//!   2  the generation that had assignments last, whose members follow
//!      u8 | generation i32 | protocol text | leader text
//!   3  a member of that generation          u8 | the member as in an entry of kind 35
//!   4  a member of one that is not stable   u8 | the member likewise
//!   5  an offset
//!      u8 | log u64 | offset i64 | leader epoch i32 | time i64 ms | metadata text
//! last u8: 1 in the last piece
//! ```

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, WallMs};

use super::call::Name;
use super::entry::{get, put, text};
use super::kept::{Assigned, Kept, KeptMember};
use super::reply::Committed;
use super::rules::{Rule, breaks};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const KIND: u16 = 4;
const VERSION: u16 = 1;
/// A piece takes no more items from so many bytes on.
const PIECE: usize = 64 << 10;
/// Where the count of items stands: behind the seal, the length and the number of the piece.
const ITEMS_AT: usize = 16;

/// One thing that a snapshot holds.
enum Item {
    Group(Name, Arc<Kept>),
    Assigned(Arc<Assigned>),
    Member(Arc<KeptMember>),
    Staged(Arc<KeptMember>),
    Offset(LogId, Committed),
}

/// Where in a group's items a snapshot is.
#[derive(Clone, Copy)]
enum At {
    Group,
    Assigned,
    Member(usize),
    Staged(usize),
    Offset(Option<LogId>),
    End,
}

/// Groups as they are now, in pieces that are made when they are asked for.
pub(super) struct Pieces {
    groups: std::vec::IntoIter<(Name, Arc<Kept>)>,
    group: Option<(Name, Arc<Kept>)>,
    at: At,
    number: u32,
    ended: bool,
}

impl Pieces {
    pub(super) fn of(groups: Vec<(Name, Arc<Kept>)>) -> Self {
        let mut groups = groups.into_iter();
        Self {
            group: groups.next(),
            groups,
            at: At::Group,
            number: 0,
            ended: false,
        }
    }

    /// The next item, and where the one after it is.
    fn item(&mut self) -> Option<Item> {
        loop {
            let (name, kept) = self.group.as_ref()?;
            let (item, next) = match self.at {
                At::Group => {
                    let item = Item::Group(Arc::clone(name), Arc::clone(kept));
                    (Some(item), At::Assigned)
                }
                At::Assigned => (kept.assigned.clone().map(Item::Assigned), At::Member(0)),
                At::Member(n) => {
                    let members = kept.assigned.iter().flat_map(|of| of.members.get(n));
                    match members.into_iter().next() {
                        Some(member) => (Some(Item::Member(Arc::clone(member))), At::Member(n + 1)),
                        None => (None, At::Staged(0)),
                    }
                }
                At::Staged(n) => match kept.staged.get(n) {
                    Some(member) => (Some(Item::Staged(Arc::clone(member))), At::Staged(n + 1)),
                    None => (None, At::Offset(None)),
                },
                At::Offset(_) if breaks(Rule::SnapshotWhole) => (None, At::End),
                At::Offset(after) => {
                    let found = kept.offsets_after(after).next();
                    match found.map(|(log, found)| (log, found.clone())) {
                        Some((log, found)) => {
                            (Some(Item::Offset(log, found)), At::Offset(Some(log)))
                        }
                        None => (None, At::End),
                    }
                }
                At::End => {
                    self.group = self.groups.next();
                    (None, At::Group)
                }
            };
            self.at = next;
            if item.is_some() {
                return item;
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut writer = Writer::piece(KIND, VERSION);
        writer.u32(self.number);
        writer.count(0);
        let mut items = 0;
        while writer.len() < PIECE {
            match self.item() {
                Some(item) => write(&mut writer, &item),
                None => {
                    self.ended = true;
                    break;
                }
            }
            items += 1;
        }
        writer.set_u32(ITEMS_AT, items);
        writer.u8(u8::from(self.ended));
        self.number += 1;
        Some(writer.seal_piece())
    }
}

fn write(writer: &mut Writer, item: &Item) {
    match item {
        Item::Group(name, kept) => {
            writer.u8(1);
            writer.str(name);
            writer.i32(kept.generation);
            writer.str(&kept.protocol_type);
            writer.i64(kept.empty_since.map_or(i64::MIN, |since| since.0));
        }
        Item::Assigned(assigned) => {
            writer.u8(2);
            writer.i32(assigned.generation);
            writer.str(&assigned.protocol);
            writer.str(&assigned.leader);
        }
        Item::Member(member) => {
            writer.u8(3);
            put(writer, member);
        }
        Item::Staged(member) => {
            writer.u8(4);
            put(writer, member);
        }
        Item::Offset(log, committed) => {
            writer.u8(5);
            writer.u64(log.0);
            writer.i64(committed.offset);
            writer.i32(committed.leader_epoch);
            writer.i64(committed.time.0);
            writer.str(committed.metadata.as_deref().unwrap_or(""));
        }
    }
}

/// Whether a coordinator wrote that as its snapshot.
///
/// # Errors
/// What is wrong with it.
pub fn check_snapshot(bytes: &[u8]) -> Result<(), DecodeError> {
    restore(bytes).map(drop)
}

/// The groups of a snapshot, in the order of their names.
///
/// # Errors
/// If no coordinator wrote it.
pub(super) fn restore(mut bytes: &[u8]) -> Result<Vec<(Name, Kept)>, DecodeError> {
    let mut groups: Vec<(Name, Kept)> = Vec::new();
    for number in 0.. {
        let (_, mut reader) = Reader::piece(&mut bytes, |kind, version| match kind {
            KIND => check_version(version, VERSION..=VERSION),
            kind => Err(DecodeError::UnknownKind(kind)),
        })?;
        if reader.u32("number of a piece")? != number {
            return Err(DecodeError::Invalid("number of a piece"));
        }
        for _ in 0..reader.count(1, "items")? {
            read(&mut groups, &mut reader)?;
        }
        let last = reader.u8("last")?;
        reader.end()?;
        match (last, bytes.len()) {
            (0, _) => {}
            (1, 0) => break,
            (1, extra) => return Err(DecodeError::Trailing(extra)),
            _ => return Err(DecodeError::Invalid("last")),
        }
    }
    let whole = |(_, kept): &(Name, Kept)| {
        let leads = |of: &Arc<Assigned>| of.find(&of.leader).is_some();
        kept.assigned.as_ref().is_none_or(leads)
    };
    match groups.iter().all(whole) {
        true => Ok(groups),
        false => Err(DecodeError::Invalid("leader")),
    }
}

fn read(groups: &mut Vec<(Name, Kept)>, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let tag = reader.u8("item")?;
    if tag == 1 {
        let name = text(reader, "group")?;
        if groups.last().is_some_and(|(before, _)| *before >= name) {
            return Err(DecodeError::Invalid("order of groups"));
        }
        let mut kept = Kept::default();
        kept.generation = reader.i32("generation")?;
        kept.protocol_type = text(reader, "protocol type")?;
        let since = reader.i64("empty since")?;
        kept.empty_since = (since != i64::MIN).then_some(WallMs(since));
        groups.push((name, kept));
        return Ok(());
    }
    let (_, kept) = groups.last_mut().ok_or(DecodeError::Invalid("item"))?;
    match tag {
        2 => {
            kept.assigned = Some(Arc::new(Assigned {
                generation: reader.i32("generation")?,
                protocol: text(reader, "protocol")?,
                leader: text(reader, "leader")?,
                members: Vec::new(),
            }));
        }
        3 => {
            let member = Arc::new(get(reader)?);
            let assigned = kept.assigned.as_mut();
            let assigned = assigned.ok_or(DecodeError::Invalid("member"))?;
            Arc::make_mut(assigned).members.push(member);
        }
        4 => kept.staged.push(Arc::new(get(reader)?)),
        5 => {
            let log = LogId(reader.u64("log")?);
            let committed = Committed {
                offset: reader.i64("offset")?,
                leader_epoch: reader.i32("leader epoch")?,
                time: WallMs(reader.i64("time")?),
                metadata: Some(text(reader, "metadata")?).filter(|text| !text.is_empty()),
            };
            kept.insert(log, committed);
        }
        _ => return Err(DecodeError::Invalid("item")),
    }
    Ok(())
}
