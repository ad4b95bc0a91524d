//! The numbers of the frame kinds.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a frame is. Requests are below `0x8000`; the response to request `k` is
        /// `k | 0x8000`, or [`Kind::Error`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $value,)*
        }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind with that number; `None` if this version does not know it.
            #[must_use]
            pub const fn from_u16(value: u16) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name in the schema.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

kinds! {
    /// First frame of a connection, either way.
    Hello = 0x0001,
    /// Wants a `Pong`.
    Ping = 0x0002,
    /// Creates a topic.
    CreateTopic = 0x0010,
    /// Deletes a topic and its records.
    DeleteTopic = 0x0011,
    /// Names, ids and partition counts of all topics.
    ListTopics = 0x0012,
    /// Settings, offsets and sizes of topics.
    DescribeTopics = 0x0013,
    /// Resolves one topic name.
    Metadata = 0x0014,
    /// Configures a topic anew, or adds partitions.
    AlterTopic = 0x0015,
    /// Wants a producer id.
    InitProducer = 0x0020,
    /// Appends one record batch, its payload.
    Produce = 0x0021,
    /// Reads record batches.
    Fetch = 0x0022,
    /// Finds an offset.
    ListOffsets = 0x0023,
    /// Wants record batches as they become visible.
    Subscribe = 0x0024,
    /// Lets a subscription go on; no response of its own.
    Credit = 0x0025,
    /// Ends a subscription.
    Unsubscribe = 0x0026,
    /// How the broker is.
    Status = 0x0030,
    /// Answers `Hello`.
    HelloOk = 0x8001,
    /// Answers `Ping`.
    Pong = 0x8002,
    /// Answers `CreateTopic`.
    CreateTopicOk = 0x8010,
    /// Answers `DeleteTopic`.
    DeleteTopicOk = 0x8011,
    /// Answers `ListTopics`.
    ListTopicsOk = 0x8012,
    /// Answers `DescribeTopics`.
    DescribeTopicsOk = 0x8013,
    /// Answers `Metadata`.
    MetadataOk = 0x8014,
    /// Answers `AlterTopic`.
    AlterTopicOk = 0x8015,
    /// Answers `InitProducer`.
    InitProducerOk = 0x8020,
    /// Answers `Produce`.
    ProduceOk = 0x8021,
    /// Answers `Fetch`; its payload is record batches.
    FetchOk = 0x8022,
    /// Answers `ListOffsets`.
    ListOffsetsOk = 0x8023,
    /// Answers `Subscribe`; `Push` frames follow.
    SubscribeOk = 0x8024,
    /// One of a subscription's deliveries; its payload is record batches.
    Push = 0x8025,
    /// Answers `Unsubscribe`: the subscription's last frame.
    UnsubscribeOk = 0x8026,
    /// Answers `Status`.
    StatusOk = 0x8030,
    /// Answers any request that failed as a whole.
    Error = 0xffff,
}

impl Kind {
    /// Its number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self as u16
    }

    /// Whether more frames with the same correlation follow a response of this kind.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::SubscribeOk | Self::Push)
    }

    /// Whether frames of this kind may have a payload; all others must not.
    #[must_use]
    pub const fn has_payload(self) -> bool {
        matches!(self, Self::Produce | Self::FetchOk | Self::Push)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_request_has_its_response() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_u16(kind.as_u16()), Some(*kind));
            let response = Kind::from_u16(kind.as_u16() | 0x8000);
            assert!(response.is_some(), "{kind:?} is a response, or has one");
        }
        assert_eq!(Kind::from_u16(0), None);
    }
}
