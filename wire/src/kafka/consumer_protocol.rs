//! What members of type `consumer` say to whoever assigns, which stands in a JoinGroup as bytes that the broker
//! passes on as they are. Only the topics are read, to know what a group is subscribed to.

use super::reader::Reader;
use super::{Array, DecodeError};

/// What groups are for in which members speak this.
pub const CONSUMER: &str = "consumer";

/// The topics that a member wants to read, of the bytes of a `ConsumerProtocolSubscription`: a version, and in
/// all versions the topics first. Later versions add behind that, so any is read.
///
/// # Errors
/// [`DecodeError`], if the bytes do not begin like that.
pub fn subscribed_topics(subscription: &[u8]) -> Result<Array<'_, &str>, DecodeError> {
    // No version is flexible.
    let mut reader = Reader::new(subscription, 0)?;
    reader.i16()?;
    reader.array()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::ConsumerProtocolSubscription;
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_are_read_as_every_version_has_them() {
        let topics = ["orders", "", "ß"];
        let theirs = ConsumerProtocolSubscription::default()
            .with_topics(topics.map(StrBytes::from_static_str).to_vec());
        for version in 0..=3 {
            let mut bytes = BytesMut::from(&[0, version as u8][..]);
            theirs.encode(&mut bytes, version).unwrap();
            let read = subscribed_topics(&bytes).unwrap();
            assert_eq!(read.iter().collect::<Vec<_>>(), topics);
            // What a later version adds is not looked at.
            bytes.extend_from_slice(b"more");
            assert!(subscribed_topics(&bytes).is_ok());
            let cut = &bytes[..10];
            assert!(subscribed_topics(cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn more_topics_than_there_are_bytes_are_refused() {
        assert!(subscribed_topics(&[0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0]).is_err());
        assert!(subscribed_topics(&[]).is_err());
        // Null, which is no list.
        assert!(subscribed_topics(&[0, 1, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_topics_or_an_error(bytes in vec(any::<u8>(), 0..64)) {
            if let Ok(topics) = subscribed_topics(&bytes) {
                prop_assert!(topics.iter().count() == topics.len());
            }
        }
    }
}
