//! Kafka requests as bytes, written down here from the protocol's description rather than by the
//! broker's own codec, and the few fields of answers that checks look at.

use leveret_record::{BatchBuilder, Compression};

pub use super::answer::{
    Answer, Fetched, Produced, answers, fetched, named_errors, number, partitions, produced,
    setting,
};

/// The length of the prefix that says how long a frame is.
pub(super) const PREFIX: usize = 4;
/// Where a request's number stands in its frame.
const NUMBER: std::ops::Range<usize> = 8..12;
/// Settings of topics, as a resource that can be altered.
const TOPIC: i8 = 2;

/// A request that is being written; integers are big-endian.
#[derive(Clone, Debug)]
pub struct Request(Vec<u8>);

impl Request {
    /// Begins a request of a version whose header has no tagged fields.
    #[must_use]
    pub fn new(api: i16, version: i16) -> Self {
        let request = Self(vec![0; PREFIX]);
        request.i16(api).i16(version).i32(7).string("sim")
    }

    /// Appends bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends one byte.
    #[must_use]
    pub fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends two bytes.
    #[must_use]
    pub fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends four bytes.
    #[must_use]
    pub fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends eight bytes.
    #[must_use]
    pub fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends a string.
    #[must_use]
    pub fn string(self, text: &str) -> Self {
        let len = i16::try_from(text.len()).expect("short");
        self.i16(len).raw(text.as_bytes())
    }

    /// Appends a string that may be null.
    #[must_use]
    pub fn nullable(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.string(text),
            None => self.i16(-1),
        }
    }

    /// Appends an array, each element by `write`.
    #[must_use]
    pub fn array<T>(self, items: &[T], write: impl Fn(Self, &T) -> Self) -> Self {
        let len = i32::try_from(items.len()).expect("few");
        items.iter().fold(self.i32(len), write)
    }

    /// The frame.
    ///
    /// # Panics
    /// If it is too long for one.
    #[must_use]
    pub fn frame(mut self) -> Vec<u8> {
        let len = i32::try_from(self.0.len() - PREFIX).expect("short");
        self.0[..PREFIX].copy_from_slice(&len.to_be_bytes());
        self.0
    }
}

/// CreateTopics: names and how many partitions.
#[must_use]
pub fn create_topics(topics: &[(&str, i32)]) -> Vec<u8> {
    let request = Request::new(19, 2).array(topics, |request, (name, partitions)| {
        let request = request.string(name).i32(*partitions).i16(1);
        request.i32(0).i32(0)
    });
    request.i32(5_000).i8(0).frame()
}

/// DeleteTopics, by name.
#[must_use]
pub fn delete_topics(names: &[&str]) -> Vec<u8> {
    let request = Request::new(20, 1).array(names, |request, name| request.string(name));
    request.i32(5_000).frame()
}

/// CreatePartitions: names and how many there are to be.
#[must_use]
pub fn create_partitions(topics: &[(&str, i32)]) -> Vec<u8> {
    let request = Request::new(37, 0).array(topics, |request, (name, count)| {
        request.string(name).i32(*count).i32(-1)
    });
    request.i32(5_000).i8(0).frame()
}

/// CreateTopics of one topic of so many partitions, with settings; a value may be null.
#[must_use]
pub fn create_topic_with(name: &str, partitions: i32, configs: &[(&str, Option<&str>)]) -> Vec<u8> {
    let request = Request::new(19, 2).i32(1).string(name).i32(partitions);
    let request = request
        .i16(1)
        .i32(0)
        .array(configs, |request, (key, value)| {
            request.string(key).nullable(*value)
        });
    request.i32(5_000).i8(0).frame()
}

/// DeleteTopics where each is given by name, by id, or by what the broker has to refuse.
#[must_use]
pub fn delete_topics_by(topics: &[(Option<&str>, u128)]) -> Vec<u8> {
    // The first version with ids is a flexible one: short lengths, one more than they say, and no
    // tagged fields anywhere.
    let short = |len: usize| i8::try_from(len + 1).expect("short");
    let request = Request::new(20, 6).i8(0).i8(short(topics.len()));
    let request = topics.iter().fold(request, |request, (name, id)| {
        let request = match name {
            None => request.i8(0),
            Some(name) => request.i8(short(name.len())).raw(name.as_bytes()),
        };
        request.raw(&id.to_be_bytes()).i8(0)
    });
    request.i32(5_000).i8(0).frame()
}

/// Settings of a topic: its name, and what each key is set to, which may be null.
pub type Altered<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

/// AlterConfigs of topics.
#[must_use]
pub fn alter_configs(topics: &[Altered<'_>]) -> Vec<u8> {
    let request = Request::new(33, 0).array(topics, |request, (name, configs)| {
        let request = request.i8(TOPIC).string(name);
        request.array(configs, |request, (key, value)| {
            request.string(key).nullable(*value)
        })
    });
    request.i8(0).frame()
}

/// What IncrementalAlterConfigs does to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives it a value.
    Set = 0,
    /// Unsets it.
    Delete = 1,
    /// Adds to a list.
    Append = 2,
    /// Takes away from a list.
    Subtract = 3,
}

/// Changes of a topic's settings: its name, and for each key what is done, with which value.
pub type Changed<'a> = (&'a str, &'a [(&'a str, Change, Option<&'a str>)]);

/// IncrementalAlterConfigs of topics.
#[must_use]
pub fn incremental_alter_configs(topics: &[Changed<'_>]) -> Vec<u8> {
    let request = Request::new(44, 0).array(topics, |request, (name, configs)| {
        let request = request.i8(TOPIC).string(name);
        request.array(configs, |request, (key, change, value)| {
            request.string(key).i8(*change as i8).nullable(*value)
        })
    });
    request.i8(0).frame()
}

/// DescribeConfigs of topics, every setting.
#[must_use]
pub fn describe_configs(names: &[&str]) -> Vec<u8> {
    let request = Request::new(32, 1).array(names, |request, name| {
        request.i8(TOPIC).string(name).i32(-1)
    });
    request.i8(0).frame()
}

/// Metadata of topics.
#[must_use]
pub fn metadata(names: &[&str]) -> Vec<u8> {
    let request = Request::new(3, 1);
    request
        .array(names, |request, name| request.string(name))
        .frame()
}

/// ListOffsets: topic, partition and timestamp.
#[must_use]
pub fn list_offsets(asked: &[(&str, i32, i64)]) -> Vec<u8> {
    let request = Request::new(2, 1).i32(-1);
    let request = request.array(asked, |request, (name, partition, timestamp)| {
        let request = request.string(name).i32(1);
        request.i32(*partition).i64(*timestamp)
    });
    request.frame()
}

/// InitProducerId without a transaction.
#[must_use]
pub fn init_producer_id() -> Vec<u8> {
    Request::new(22, 0).i16(-1).i32(0).frame()
}

/// An ApiVersions request.
#[must_use]
pub fn api_versions() -> Vec<u8> {
    Request::new(18, 0).frame()
}

/// Produce: topic, partition and the length of the one record's value.
#[must_use]
pub fn produce(acks: i16, batches: &[(&str, i32, usize)]) -> Vec<u8> {
    let batches = batches.iter().map(|(name, partition, len)| {
        let batch = batch(*len);
        (*name, *partition, batch)
    });
    produce_all(acks, &batches.collect::<Vec<_>>())
}

/// Produce: topic, partition and its batch.
#[must_use]
pub fn produce_all(acks: i16, batches: &[(&str, i32, impl AsRef<[u8]>)]) -> Vec<u8> {
    let request = Request::new(0, 7).i16(-1).i16(acks).i32(30_000);
    let request = request.array(batches, |request, (name, partition, batch)| {
        let batch = batch.as_ref();
        let bytes = i32::try_from(batch.len()).expect("short");
        let request = request.string(name).i32(1).i32(*partition);
        request.i32(bytes).raw(batch)
    });
    request.frame()
}

/// The same request by another number.
#[must_use]
pub fn numbered(number: i32, mut frame: Vec<u8>) -> Vec<u8> {
    frame[NUMBER].copy_from_slice(&number.to_be_bytes());
    frame
}

/// A batch of one record whose value has that length.
#[must_use]
pub fn batch(len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = vec![b'v'; len];
    let pushed = builder.push(crate::plan::WALL, None, Some(&value), &[]);
    pushed.expect("it fits");
    builder.finish().to_vec()
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of this topic.
    pub topic: &'a str,
    /// Its number.
    pub partition: i32,
    /// The first offset wanted.
    pub offset: i64,
    /// Bytes of it at most.
    pub max_bytes: i32,
}

/// Bounds of a whole fetch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of all partitions at most.
    pub max_bytes: i32,
    /// Bytes to wait for.
    pub min_bytes: i32,
    /// How long, milliseconds.
    pub max_wait: i32,
}

/// Fetch, every partition as an entry of its own.
#[must_use]
pub fn fetch(bounds: Bounds, wanted: &[Wanted<'_>]) -> Vec<u8> {
    let request = Request::new(1, 4).i32(-1).i32(bounds.max_wait);
    let request = request.i32(bounds.min_bytes).i32(bounds.max_bytes).i8(0);
    let request = request.array(wanted, |request, wanted| {
        let request = request.string(wanted.topic).i32(1).i32(wanted.partition);
        request.i64(wanted.offset).i32(wanted.max_bytes)
    });
    request.frame()
}
