//! `kafka-protocol`, generated from Apache Kafka's schemas, against our hand-written layouts: every
//! API in every version that both know.

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_configs;
mod fetch;
mod group_admin;
mod groups;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offsets;
mod produce;

pub(crate) use alter_configs::{AlterConfigs, IncrementalAlterConfigs};
pub(crate) use api_versions::ApiVersions;
pub(crate) use create_partitions::CreatePartitions;
pub(crate) use create_topics::CreateTopics;
pub(crate) use delete_topics::DeleteTopics;
pub(crate) use describe_configs::DescribeConfigs;
pub(crate) use fetch::Fetch;
pub(crate) use group_admin::{DeleteGroups, DescribeGroups, ListGroups};
pub(crate) use groups::{FindCoordinator, Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
pub(crate) use init_producer_id::InitProducerId;
pub(crate) use list_offsets::ListOffsets;
pub(crate) use metadata::Metadata;
pub(crate) use offsets::{OffsetCommit, OffsetDelete, OffsetFetch};
pub(crate) use produce::Produce;

use bytes::BytesMut;
use leveret_wire::kafka::{ApiKey, Line, Text, encode_around};
use proptest::collection::vec;
use proptest::prelude::*;

use super::harness::{Api, CORRELATION, check_request, check_response, common, request_frame};
use super::table::kafkas_own;
use kafka_protocol::protocol::StrBytes;

pub(crate) fn str_bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn text(theirs: &StrBytes) -> Text<'_> {
    Text::Borrowed(theirs.as_str())
}

pub(crate) fn maybe_text(theirs: &Option<StrBytes>) -> Option<Text<'_>> {
    theirs.as_ref().map(text)
}

/// A response that is put together of such lines and what `encode` appends, which stands around so many bytes of
/// them.
pub(crate) fn around(
    lines: &BytesMut,
    encode: impl FnOnce(&mut BytesMut, usize) -> usize,
) -> Vec<u8> {
    // Something is in the buffer already, as an arena has it.
    let mut out = BytesMut::from(&b"before"[..]);
    let behind = encode(&mut out, lines.len());
    let tail = out.split_off(out.len() - behind);
    [&out[6..], lines, &tail].concat()
}

/// A response of nothing but these lines.
pub(crate) fn of_lines<L: Line>(
    api: ApiKey,
    version: i16,
    lines: impl ExactSizeIterator<Item = L>,
) -> Vec<u8> {
    let (count, mut encoded) = (lines.len(), BytesMut::new());
    lines.for_each(|line| line.encode(&mut encoded, api, version));
    around(&encoded, |out, len| {
        encode_around(out, api, version, CORRELATION, count, len)
    })
}

/// Calls `$call::<Api>` for every API.
macro_rules! for_every_api {
    ($call:ident $(, $argument:expr)*) => {
        [
            $call::<$crate::oracle::Produce>($($argument),*),
            $call::<$crate::oracle::Fetch>($($argument),*),
            $call::<$crate::oracle::ListOffsets>($($argument),*),
            $call::<$crate::oracle::Metadata>($($argument),*),
            $call::<$crate::oracle::OffsetCommit>($($argument),*),
            $call::<$crate::oracle::OffsetFetch>($($argument),*),
            $call::<$crate::oracle::FindCoordinator>($($argument),*),
            $call::<$crate::oracle::JoinGroup>($($argument),*),
            $call::<$crate::oracle::Heartbeat>($($argument),*),
            $call::<$crate::oracle::LeaveGroup>($($argument),*),
            $call::<$crate::oracle::SyncGroup>($($argument),*),
            $call::<$crate::oracle::DescribeGroups>($($argument),*),
            $call::<$crate::oracle::ListGroups>($($argument),*),
            $call::<$crate::oracle::ApiVersions>($($argument),*),
            $call::<$crate::oracle::CreateTopics>($($argument),*),
            $call::<$crate::oracle::DeleteTopics>($($argument),*),
            $call::<$crate::oracle::InitProducerId>($($argument),*),
            $call::<$crate::oracle::DescribeConfigs>($($argument),*),
            $call::<$crate::oracle::AlterConfigs>($($argument),*),
            $call::<$crate::oracle::CreatePartitions>($($argument),*),
            $call::<$crate::oracle::DeleteGroups>($($argument),*),
            $call::<$crate::oracle::IncrementalAlterConfigs>($($argument),*),
            $call::<$crate::oracle::OffsetDelete>($($argument),*),
        ]
    };
}
pub(crate) use for_every_api;

/// Key and common versions.
pub(crate) fn versions<A: Api>() -> (ApiKey, Vec<i16>) {
    (A::KEY, common::<A>().collect())
}

/// A request frame of every common version.
pub(crate) fn frames<A: Api>(bytes: &[u8], noisy: bool) -> Vec<Vec<u8>> {
    common::<A>()
        .map(|version| request_frame::<A>(bytes, version, noisy))
        .collect()
}

fn check<A: Api>(bytes: &[u8]) {
    for version in common::<A>() {
        check_request::<A>(bytes, version, false);
        check_request::<A>(bytes, version, true);
        check_response::<A>(bytes, version);
    }
}

#[test]
fn nothing_but_defaults_agrees() {
    for_every_api!(check, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_api_agrees_with_the_oracle(bytes in vec(any::<u8>(), 0..1200)) {
        for_every_api!(check, &bytes);
    }
}

/// The oracle's table and ours: what is left to `frozen.rs` is exactly what it says there.
#[test]
fn what_the_oracle_does_not_know_is_listed() {
    let mut unknown = Vec::new();
    let covered = for_every_api!(versions);
    let keys: Vec<ApiKey> = covered.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, kafkas_own().collect::<Vec<_>>());
    for (key, common) in covered {
        let range = key.versions();
        let missing = (range.min..=range.max).filter(|version| !common.contains(version));
        unknown.extend(missing.map(|version| (key, version)));
    }
    let produce = (0..3).map(|version| (ApiKey::Produce, version));
    let newest = [
        (ApiKey::ListOffsets, 11),
        (ApiKey::OffsetCommit, 10),
        (ApiKey::OffsetFetch, 10),
    ];
    let expected: Vec<_> = produce.chain(newest).collect();
    assert_eq!(unknown, expected);
}
