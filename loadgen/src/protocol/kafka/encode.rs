//! Requests, each in the one version that this program speaks: the newest before compact lengths
//! and tagged fields (KIP-482), which brokers from Kafka 2.4 to 4 and Leveret all serve.
//!
//! Layouts: Kafka protocol guide, "The Messages". Nothing here allocates beyond the buffer.

use bytes::{BufMut, BytesMut};

use super::super::{FetchLimits, REQUEST_TIMEOUT, Topic, Wanted};

/// What a broker must serve to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) name: &'static str,
    pub(super) key: i16,
    pub(super) version: i16,
}

const fn api(name: &'static str, key: i16, version: i16) -> Api {
    Api { name, key, version }
}

pub(super) const PRODUCE: Api = api("Produce", 0, 7);
pub(super) const FETCH: Api = api("Fetch", 1, 11);
pub(super) const LIST_OFFSETS: Api = api("ListOffsets", 2, 1);
pub(super) const METADATA: Api = api("Metadata", 3, 4);
pub(super) const API_VERSIONS: Api = api("ApiVersions", 18, 0);
pub(super) const CREATE_TOPICS: Api = api("CreateTopics", 19, 4);
pub(super) const DELETE_TOPICS: Api = api("DeleteTopics", 20, 1);

/// All of them but the one that asks for them.
pub(super) const NEEDED: [Api; 6] = [
    PRODUCE,
    FETCH,
    LIST_OFFSETS,
    METADATA,
    CREATE_TOPICS,
    DELETE_TOPICS,
];

/// How this program introduces itself.
const CLIENT_ID: &str = "leveret-loadgen";
/// Every replica in sync has it.
const ACKS_ALL: i16 = -1;
/// No replica asks, a client does.
const NO_REPLICA: i32 = -1;
/// The offset behind the newest record.
const LATEST: i64 = -1;
/// A fetch that belongs to no session (KIP-227).
const NO_SESSION: (i32, i32) = (0, -1);
/// The leader's epoch is not known, and not checked (KIP-320).
const ANY_EPOCH: i32 = -1;
/// The load measures one broker.
const REPLICAS: i16 = 1;

/// A whole frame but for its last `payload` bytes, which its length counts.
fn frame(
    out: &mut BytesMut,
    api: Api,
    correlation: i32,
    payload: usize,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.put_i32(0);
    out.put_i16(api.key);
    out.put_i16(api.version);
    out.put_i32(correlation);
    string(out, CLIENT_ID);
    body(out);
    let len = length(out.len() - start - 4 + payload);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Append one batch of `batch` bytes, which follows what is written here.
pub(super) fn produce(
    out: &mut BytesMut,
    correlation: i32,
    topic: &str,
    partition: i32,
    batch: usize,
) {
    frame(out, PRODUCE, correlation, batch, |out| {
        null_string(out); // No transaction.
        out.put_i16(ACKS_ALL);
        out.put_i32(timeout_ms());
        out.put_i32(1);
        string(out, topic);
        out.put_i32(1);
        out.put_i32(partition);
        out.put_i32(length(batch));
    });
}

/// Whatever there is, at least a byte of it, of several partitions.
pub(super) fn fetch(
    out: &mut BytesMut,
    correlation: i32,
    topic: &str,
    wanted: &[Wanted],
    limits: FetchLimits,
) {
    let bytes = i32::try_from(limits.bytes).unwrap_or(i32::MAX);
    frame(out, FETCH, correlation, 0, |out| {
        out.put_i32(NO_REPLICA);
        out.put_i32(i32::try_from(limits.wait_ms).unwrap_or(i32::MAX));
        out.put_i32(1);
        out.put_i32(bytes);
        out.put_i8(0); // Read uncommitted: there are no transactions.
        out.put_i32(NO_SESSION.0);
        out.put_i32(NO_SESSION.1);
        out.put_i32(1);
        string(out, topic);
        out.put_i32(length(wanted.len()));
        for wanted in wanted {
            out.put_i32(partition(wanted.partition.0));
            out.put_i32(ANY_EPOCH);
            out.put_i64(i64::try_from(wanted.from.0).unwrap_or(i64::MAX));
            out.put_i64(-1); // Followers only: where their log starts.
            out.put_i32(bytes);
        }
        out.put_i32(0); // Nothing to forget without a session.
        string(out, ""); // No rack.
    });
}

/// Where a partition ends.
pub(super) fn list_offsets(out: &mut BytesMut, correlation: i32, topic: &str, of: i32) {
    frame(out, LIST_OFFSETS, correlation, 0, |out| {
        out.put_i32(NO_REPLICA);
        out.put_i32(1);
        string(out, topic);
        out.put_i32(1);
        out.put_i32(of);
        out.put_i64(LATEST);
    });
}

/// A topic's partitions; asking does not create it.
pub(super) fn metadata(out: &mut BytesMut, correlation: i32, topic: &str) {
    frame(out, METADATA, correlation, 0, |out| {
        out.put_i32(1);
        string(out, topic);
        out.put_i8(0);
    });
}

/// Which versions the broker serves.
pub(super) fn api_versions(out: &mut BytesMut, correlation: i32) {
    frame(out, API_VERSIONS, correlation, 0, |_| {});
}

/// A new topic with its configuration.
pub(super) fn create_topic(out: &mut BytesMut, correlation: i32, topic: &Topic) {
    frame(out, CREATE_TOPICS, correlation, 0, |out| {
        out.put_i32(1);
        string(out, &topic.name);
        out.put_i32(i32::from(topic.partitions));
        out.put_i16(REPLICAS);
        out.put_i32(0); // The broker assigns.
        out.put_i32(length(topic.config.len()));
        for (key, value) in &topic.config {
            string(out, key);
            string(out, value);
        }
        out.put_i32(timeout_ms());
        out.put_i8(0); // Not only to see whether it would work.
    });
}

/// A topic and all it holds, away.
pub(super) fn delete_topic(out: &mut BytesMut, correlation: i32, topic: &str) {
    frame(out, DELETE_TOPICS, correlation, 0, |out| {
        out.put_i32(1);
        string(out, topic);
        out.put_i32(timeout_ms());
    });
}

/// A partition as Kafka counts them.
pub(super) fn partition(number: u32) -> i32 {
    i32::try_from(number).expect("a topic of this program has at most 65,535 partitions")
}

fn string(out: &mut BytesMut, text: &str) {
    let len = i16::try_from(text.len()).expect("names and settings are checked when they are read");
    out.put_i16(len);
    out.put_slice(text.as_bytes());
}

fn null_string(out: &mut BytesMut) {
    out.put_i16(-1);
}

fn length(len: usize) -> i32 {
    i32::try_from(len).expect("a batch is at most 1 GiB, and requests carry one")
}

fn timeout_ms() -> i32 {
    i32::try_from(REQUEST_TIMEOUT.as_millis()).expect("a minute")
}
