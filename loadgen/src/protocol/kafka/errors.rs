//! Error codes that a load meets (Kafka protocol guide, "Error Codes"), and what to do then.

use crate::failure::Failure;

/// No error.
const NONE: i16 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
/// The topic is there already.
pub(super) const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Name and remedy of those that are likely.
const KNOWN: [(i16, &str, &str); 13] = [
    (
        1,
        "OFFSET_OUT_OF_RANGE",
        "give the topic more retention: records went before they were read",
    ),
    (
        2,
        "CORRUPT_MESSAGE",
        "report this: the batch left here with a right checksum",
    ),
    (
        UNKNOWN_TOPIC_OR_PARTITION,
        "UNKNOWN_TOPIC_OR_PARTITION",
        "see whether somebody deleted the topic",
    ),
    (
        LEADER_NOT_AVAILABLE,
        "LEADER_NOT_AVAILABLE",
        "wait until the broker has started",
    ),
    (
        NOT_LEADER_OR_FOLLOWER,
        "NOT_LEADER_OR_FOLLOWER",
        "connect to the broker that leads the topic's partitions: this program loads one broker",
    ),
    (
        7,
        "REQUEST_TIMED_OUT",
        "see whether the broker is overloaded",
    ),
    (
        10,
        "MESSAGE_TOO_LARGE",
        "lower --batch or --size, or raise the limit with --topic-config max.message.bytes=N",
    ),
    (
        29,
        "TOPIC_AUTHORIZATION_FAILED",
        "use a listener without authorization",
    ),
    (
        35,
        "UNSUPPORTED_VERSION",
        "use a broker that serves that version",
    ),
    (
        TOPIC_ALREADY_EXISTS,
        "TOPIC_ALREADY_EXISTS",
        "name it by --topic to use it as it is",
    ),
    (37, "INVALID_PARTITIONS", "choose another --partitions"),
    (
        40,
        "INVALID_CONFIG",
        "correct --topic-config, or leave --durability to the broker",
    ),
    (
        56,
        "KAFKA_STORAGE_ERROR",
        "look at the broker's log: its disk failed or is full",
    ),
];

/// Whether it goes away by itself while a new topic settles.
pub(super) fn passes(code: i16) -> bool {
    matches!(
        code,
        UNKNOWN_TOPIC_OR_PARTITION | LEADER_NOT_AVAILABLE | NOT_LEADER_OR_FOLLOWER
    )
}

/// A failure unless the code says that there was none.
pub(super) fn check(request: &str, code: i16) -> Result<(), Failure> {
    check_with(request, code, "")
}

/// The same, with what the broker said about it.
pub(super) fn check_with(request: &str, code: i16, reason: &str) -> Result<(), Failure> {
    if code == NONE {
        return Ok(());
    }
    Err(failure(request, code, reason))
}

/// What a code means, with what the broker said about it.
pub(super) fn failure(request: &str, code: i16, reason: &str) -> Failure {
    let known = KNOWN.iter().find(|(known, ..)| *known == code);
    let (name, remedy) = known.map_or(
        (
            format!("error {code}"),
            "look at the broker's log, and at Kafka's list of error codes",
        ),
        |(_, name, remedy)| ((*name).to_owned(), remedy),
    );
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    Failure::new(format!("{request} failed: {name}{reason}"), remedy)
}
