//! A response that is put together in pieces is the one that is encoded at once.

use std::borrow::Cow;

use bytes::BytesMut;
use leveret_wire::kafka::{
    ApiKey, ConfigEntry, ConfigSource, ConfigType, DescribeConfigsResponse, DescribedResource,
    ErrorCode, ResourceType, encode_response,
};

#[test]
fn settings_in_pieces_are_those_encoded_at_once() {
    let entry = ConfigEntry {
        name: Cow::Borrowed("retention.ms"),
        value: Some(Cow::Borrowed("1")),
        read_only: false,
        source: ConfigSource::Default,
        is_sensitive: false,
        synonyms: Vec::new(),
        config_type: ConfigType::Long,
        documentation: Some(Cow::Borrowed("how long")),
    };
    let result = |count| DescribedResource {
        error: ErrorCode::None,
        error_message: None,
        resource_type: ResourceType::TOPIC,
        name: Cow::Borrowed("topic"),
        configs: vec![entry.clone(); count],
    };
    for (count, version) in [0, 1, 200].iter().zip([1, 3, 4]) {
        let response = DescribeConfigsResponse {
            throttle_time_ms: 0,
            results: (0..*count).map(result).collect(),
        };
        let mut whole = BytesMut::new();
        encode_response(&mut whole, version, 7, &response);
        let mut middle = BytesMut::new();
        for one in &response.results {
            one.encode(&mut middle, version);
        }
        // Something is in the buffer already, as an arena has it.
        let mut around = BytesMut::from(&b"before"[..]);
        let len = middle.len();
        let behind = DescribeConfigsResponse::encode_around(&mut around, version, 7, *count, len);
        let tail = around.split_off(around.len() - behind);
        let pieces = [&around[6..], &middle, &tail].concat();
        assert_eq!(pieces, whole, "version {version}");
        assert!(ApiKey::DescribeConfigs.versions().contains(version));
    }
}
