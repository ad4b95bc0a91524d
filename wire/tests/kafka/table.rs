//! Keys, header versions and error codes, against the oracle's tables.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey as Theirs;
use leveret_wire::kafka::{ApiKey, ErrorCode, api_name};

/// Every API but the toy, which is there where the broker's tests are built along with these.
pub(crate) fn kafkas_own() -> impl Iterator<Item = ApiKey> {
    let all = ApiKey::ALL.iter().copied();
    all.filter(|api| api_name(api.as_i16()).is_some())
}

fn theirs(api: ApiKey) -> Theirs {
    Theirs::try_from(api.as_i16()).expect("a key that the oracle has")
}

#[test]
fn keys_names_and_header_versions_agree() {
    for api in kafkas_own() {
        assert_eq!(format!("{:?}", theirs(api)), api.name());
        assert_eq!(ApiKey::from_i16(api.as_i16()), Some(api));
        let range = api.versions();
        for version in range.min..=range.max {
            let request = theirs(api).request_header_version(version);
            assert_eq!(request == 2, api.is_flexible(version), "{api:?} {version}");
            let response = theirs(api).response_header_version(version);
            let tagged = api.has_tagged_response_header(version);
            assert_eq!(response == 1, tagged, "{api:?} {version}");
        }
    }
}

#[test]
fn every_name_of_kafkas_is_known() {
    for theirs in Theirs::iter() {
        assert_eq!(
            api_name(theirs as i16),
            Some(format!("{theirs:?}").as_str())
        );
    }
    for api in kafkas_own() {
        assert_eq!(api_name(api.as_i16()), Some(api.name()));
    }
    for none in [-1, i16::MIN, 93, i16::MAX] {
        assert_eq!(api_name(none), None);
    }
}

/// Newer clients take 12 and up to mean the transactions of KIP-890.
#[test]
fn produce_stays_below_the_second_version_of_transactions() {
    assert_eq!(ApiKey::Produce.versions().max, 11);
}

#[test]
fn error_codes_agree() {
    for code in ErrorCode::ALL {
        if *code == ErrorCode::None {
            assert_eq!((code.as_i16(), code.is_retriable()), (0, false));
            continue;
        }
        let theirs = ResponseError::try_from_code(code.as_i16()).expect("an error");
        let camel: String = code.name().split('_').map(capitalized).collect();
        assert_eq!(theirs.to_string().split(':').next().unwrap(), camel);
        assert_eq!(theirs.is_retriable(), code.is_retriable(), "{code}");
    }
    let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.as_i16()).collect();
    let all: Vec<i16> = (-1..=133).collect();
    assert_eq!(numbers, all);
}

fn capitalized(word: &str) -> String {
    word[..1].to_owned() + &word[1..].to_lowercase()
}
