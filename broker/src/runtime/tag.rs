//! The tag of a ring's operation: its kind and an index. A completion tells nothing else.

/// What an operation's tag says it was.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Cancel = 4,
    Wake = 5,
    Disk = 6,
    Watch = 7,
    Await = 8,
}

/// The tag of an operation on what bears this index: a connection's slot, a listener, or a
/// disk operation's slot.
pub(super) fn tag(kind: Kind, index: u32) -> u64 {
    (kind as u64) << 32 | u64::from(index)
}

/// The inverse of [`tag`].
pub(super) fn untag(tag: u64) -> (Kind, u32) {
    let kind = match tag >> 32 {
        1 => Kind::Accept,
        2 => Kind::Receive,
        3 => Kind::Send,
        4 => Kind::Cancel,
        5 => Kind::Wake,
        6 => Kind::Disk,
        7 => Kind::Watch,
        8 => Kind::Await,
        other => unreachable!("a tag of ours, not {other}"),
    };
    (
        kind,
        u32::try_from(tag & u64::from(u32::MAX)).expect("masked"),
    )
}
