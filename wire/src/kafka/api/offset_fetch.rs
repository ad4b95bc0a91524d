//! OffsetFetch (9): tells how far groups have come.

use crate::kafka::types::grouped;
use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text, TopicGroup,
    TopicRef, VersionRange, Writer,
};

/// The first version that asks of several groups.
const SEVERAL: i16 = 8;
/// The first version that names topics by id.
const BY_ID: i16 = 10;

/// Of which groups it is to be told.
#[derive(Clone, Copy, Debug)]
pub struct OffsetFetchRequest<'a> {
    /// The groups.
    pub groups: OffsetFetchGroups<'a>,
    /// Offsets that a transaction may still change are not to be told. From version 7.
    pub require_stable: bool,
}

/// Groups: one in old versions, several from version 8.
#[derive(Clone, Copy, Debug)]
pub enum OffsetFetchGroups<'a> {
    /// This one.
    One(OffsetFetchGroup<'a>),
    /// These.
    Several(Array<'a, OffsetFetchGroup<'a>>),
}

/// What is to be told of one group.
#[derive(Clone, Copy, Debug)]
pub struct OffsetFetchGroup<'a> {
    /// Its name.
    pub group: &'a str,
    /// The id of the member that asks. From version 9.
    pub member: Option<&'a str>,
    /// The epoch that the member is in, or -1. From version 9.
    pub member_epoch: i32,
    /// By topic; `None`, for all that have offsets, may stand from version 2.
    pub topics: Option<Array<'a, OffsetFetchTopic<'a>>>,
}

/// What is to be told of one topic.
#[derive(Clone, Copy, Debug)]
pub struct OffsetFetchTopic<'a> {
    /// By id from version 10, by name before.
    pub topic: TopicRef<'a>,
    /// The numbers of partitions.
    pub partitions: Array<'a, i32>,
}

impl<'a> ApiRequest<'a> for OffsetFetchRequest<'a> {
    const KEY: i16 = 9;
    const VERSIONS: VersionRange = VersionRange { min: 1, max: 10 };
    const FIRST_FLEXIBLE: i16 = 6;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            groups: match version {
                SEVERAL.. => OffsetFetchGroups::Several(reader.array()?),
                _ => OffsetFetchGroups::One(OffsetFetchGroup {
                    group: reader.string()?,
                    member: None,
                    member_epoch: -1,
                    topics: match version {
                        2.. => reader.nullable_array()?,
                        _ => Some(reader.array()?),
                    },
                }),
            },
            require_stable: version >= 7 && reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for OffsetFetchGroup<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let knows_members = reader.version() >= 9;
        let group = Self {
            group: reader.string()?,
            member: match knows_members {
                true => reader.nullable_string()?,
                false => None,
            },
            member_epoch: if knows_members { reader.i32()? } else { -1 },
            topics: reader.nullable_array()?,
        };
        reader.skip_tags()?;
        Ok(group)
    }
}

impl<'a> Element<'a> for OffsetFetchTopic<'a> {
    const MIN_LEN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            topic: reader.topic(reader.version() >= BY_ID)?,
            partitions: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

/// How far the groups have come.
#[derive(Clone, Debug)]
pub struct OffsetFetchResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 3.
    pub throttle_time_ms: i32,
    /// Each group, in the order of the request; one in old versions.
    pub groups: Vec<FetchedGroup<'a>>,
}

/// How far one group has come.
#[derive(Clone, Debug)]
pub struct FetchedGroup<'a> {
    /// Its name. From version 8.
    pub group: Text<'a>,
    /// The topics, as the version names them.
    pub topics: Vec<TopicGroup<'a>>,
    /// Their partitions, one topic's behind the other's.
    pub partitions: Vec<FetchedOffset<'a>>,
    /// Whether it can be told at all. From version 2.
    pub error: ErrorCode,
}

/// How far a group has come in one partition.
#[derive(Clone, Debug)]
pub struct FetchedOffset<'a> {
    /// Its number.
    pub index: i32,
    /// The offset to go on with, or -1.
    pub offset: i64,
    /// The leader epoch of the record before it, or -1. From version 5.
    pub leader_epoch: i32,
    /// What the client said beside it.
    pub metadata: Option<Text<'a>>,
    /// Whether it can be told.
    pub error: ErrorCode,
}

impl Response for OffsetFetchResponse<'_> {
    const API: ApiKey = ApiKey::OffsetFetch;

    /// # Panics
    /// If a version that tells of one group is to tell of none or several, a group's topics do not add up to its
    /// partitions, or are named otherwise than the version has it.
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        if version >= SEVERAL {
            w.array(&self.groups, |w, group| {
                w.string(&group.group);
                topics(w, group);
                w.error(group.error);
                w.no_tags();
            });
            return w.no_tags();
        }
        let [group] = &self.groups[..] else {
            panic!("version {version} tells of one group");
        };
        topics(w, group);
        if version >= 2 {
            w.error(group.error);
        }
        w.no_tags();
    }
}

fn topics(w: &mut Writer<'_>, group: &FetchedGroup<'_>) {
    let version = w.version();
    w.array_len(group.topics.len());
    for (topic, partitions) in grouped(&group.topics, &group.partitions) {
        w.topic(topic, version >= BY_ID);
        w.array(partitions, |w, partition| {
            w.i32(partition.index);
            w.i64(partition.offset);
            if version >= 5 {
                w.i32(partition.leader_epoch);
            }
            w.nullable_string(partition.metadata.as_deref());
            w.error(partition.error);
            w.no_tags();
        });
        w.no_tags();
    }
}
