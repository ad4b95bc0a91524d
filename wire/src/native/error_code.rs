//! What can go wrong, as stable numbers.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $retriable:literal, $remedy:literal;)*) => {
        /// Why a request failed. The numbers are part of the protocol and never change; 0 stands
        /// for no error where a field may hold either.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = $value,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code with that number; [`ErrorCode::Unknown`] if this version does not know it.
            #[must_use]
            pub const fn from_u16(value: u16) -> Self {
                match value {
                    $($value => Self::$name,)*
                    _ => Self::Unknown,
                }
            }

            /// Its name in documents and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Whether the same request may succeed later without anybody changing it.
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(Self::$name => $retriable,)*
                }
            }

            /// What to do about it, in general; an error frame may say it better.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$name => $remedy,)*
                }
            }
        }
    };
}

codes! {
    /// The frame broke the frame format; the connection closes after it.
    BadFrame = 1, false, "use a client and a broker of matching versions; if the frame is too long, make records smaller, or raise `topic.message.max.bytes` of the broker";
    /// No common protocol version, or a request that this version does not have.
    UnsupportedVersion = 2, false, "use a client and a broker of matching versions";
    /// The request's fields make no sense.
    InvalidRequest = 3, false, "correct the request as the message says";
    /// Whoever asks may not do that.
    NotAllowed = 4, false, "ask whoever runs the broker for the right that the message names";
    /// No topic of that name or id; it may have been deleted.
    UnknownTopic = 10, false, "create it with `leveret topic create`, or look up its name again";
    /// The topic has no such partition.
    UnknownPartition = 11, false, "look up the topic again: it has fewer partitions than that";
    /// A topic of that name exists.
    TopicExists = 12, false, "use the topic that exists, or choose another name";
    /// The name is empty, too long, or has characters that are not allowed.
    InvalidTopicName = 13, false, "use 1 to 249 of the characters a-z A-Z 0-9 . _ -, in a name that differs from every other in more than . and _";
    /// There is no such topic setting, or it cannot have that value.
    InvalidConfig = 14, false, "correct the setting as the message says";
    /// The batch's checksum does not fit its bytes.
    CorruptBatch = 20, false, "send the batch again; if it repeats, suspect the sender's memory or network";
    /// The batch is well transmitted and still not acceptable.
    InvalidBatch = 21, false, "send exactly one v2 batch that is not a control batch";
    /// The batch is longer than the broker takes.
    MessageTooLarge = 22, false, "make batches smaller, or raise `max.message.bytes` of the topic, up to `topic.message.max.bytes` of the broker";
    /// The batch's sequence leaves a gap after the producer's last one.
    OutOfOrderSequence = 23, false, "an earlier batch was lost: take a new producer id and go on";
    /// A newer producer has taken this producer id.
    InvalidProducerEpoch = 24, false, "stop this producer, or take a new producer id";
    /// The offset is below the log's start or above its end.
    OffsetOutOfRange = 30, false, "seek to the beginning or the end";
    /// The partition's log stopped after a failed write, or its stored bytes do not check.
    StorageError = 40, false, "look at `leveret status` and the broker's log; `leveret verify` finds the damaged files of a stopped broker";
    /// The disk is at its floor: producing waits while consuming and deleting go on.
    DiskFull = 41, true, "free disk space, delete topics or lower their retention";
    /// No memory or no room in a queue just now.
    Overloaded = 50, true, "try again after a moment";
    /// The broker is starting.
    NotReady = 51, true, "try again after a moment";
    /// The broker is stopping.
    Stopping = 52, true, "connect again after its restart";
    /// The request's own time ran out; it may still take effect.
    Timeout = 53, true, "try again; an idempotent producer may repeat a batch safely";
    /// A number that this version has no name for.
    Unknown = 0xffff, false, "use a newer client";
}

impl ErrorCode {
    /// Its number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
