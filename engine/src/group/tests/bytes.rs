//! What stands in a group log and in its snapshot does not change silently, and nothing else can be read.

use std::sync::Arc;

use proptest::prelude::*;

use super::bench::*;
use crate::codec::DecodeError;
use crate::group::entry::{Change, GroupEntry};
use crate::group::kept::KeptMember;
use crate::group::snapshot::restore;
use crate::group::*;
use crate::machine::{Machine, Remains};
use bytes::Bytes;
use leveret_storage::types::{LogId, Offset};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn member(instance: Option<&str>, topics: Option<&[&str]>) -> Arc<KeptMember> {
    Arc::new(KeptMember {
        id: name("m"),
        instance: instance.map(name),
        client_id: name("c"),
        host: name("h"),
        session_ms: 10_000,
        rebalance_ms: 20_000,
        subscription: Bytes::from_static(&[1, 2]),
        topics: topics.map(|topics| topics.iter().map(|topic| name(topic)).collect()),
        assignment: Bytes::from_static(&[3]),
    })
}

/// One of each kind, with its bytes behind the checksum.
fn every_entry() -> Vec<(Change, &'static str)> {
    let offset = NewOffset {
        log: LogId(7),
        offset: 258,
        leader_epoch: -1,
        metadata: name("x"),
    };
    vec![
        (
            Change::OffsetsCommitted(vec![offset]),
            "20000100 010067 01000000 0700000000000000 0201000000000000 ffffffff 010078",
        ),
        (
            Change::OffsetsRemoved(vec![LogId(7)]),
            "21000100 010067 01000000 0700000000000000",
        ),
        (
            Change::GenerationOpened {
                generation: 3,
                protocol_type: name("t"),
                inhabited: true,
            },
            "22000100 010067 03000000 010074 01",
        ),
        (
            Change::MembersAssigned {
                generation: 3,
                before: 1,
                members: vec![member(None, None)],
            },
            "23000100 010067 03000000 01000000 01000000 01006d 00 010063 010068 10270000 204e0000 \
             02000000 0102 00 01000000 03",
        ),
        (
            Change::GenerationStable {
                generation: 3,
                protocol: name("r"),
                leader: name("m"),
                members: 2,
            },
            "24000100 010067 03000000 010072 01006d 02000000",
        ),
        (
            Change::StaticReplaced {
                old: name("o"),
                member: member(Some("i"), Some(&["t"])),
            },
            "25000100 010067 01006f 01006d 01 010069 010063 010068 10270000 204e0000 \
             02000000 0102 01 01000000 010074 01000000 03",
        ),
        (Change::GroupRemoved, "26000100 010067"),
    ]
}

#[test]
fn the_layout_of_entries_does_not_change_silently() {
    for (change, bytes) in every_entry() {
        let entry = GroupEntry::new(&name("g"), change);
        let encoded = entry.encode();
        assert_eq!(hex(&encoded[4..]), bytes.replace(' ', ""));
        assert_eq!(GroupEntry::decode(&encoded), Ok(entry));
        for end in 0..encoded.len() {
            assert!(GroupEntry::decode(&encoded[..end]).is_err());
        }
    }
}

#[test]
fn the_layout_of_a_snapshot_does_not_change_silently() {
    let mut bench = Bench::new();
    bench.call(commit(&simple(), 7, 258)).unwrap();
    let mut pieces = bench.machine.snapshot();
    let piece = pieces.next().unwrap();
    assert!(pieces.next().is_none());
    let expected = "04000100 5a000000 00000000 02000000 \
         01 010067 00000000 0000 0000000000000080 \
         05 0700000000000000 0201000000000000 ffffffff 40420f0000000000 0000 01";
    let expected = expected.replace(' ', "");
    let expected = expected.replace(
        "5a000000",
        &hex(&(expected.len() as u32 / 2 + 4).to_le_bytes()),
    );
    assert_eq!(hex(&piece[4..]), expected);
}

#[test]
fn newer_versions_and_other_kinds_are_named_as_such() {
    let sealed = |kind, version| {
        let mut writer = crate::codec::Writer::new(kind, version, 0);
        writer.str("g");
        writer.seal()
    };
    let newer = GroupEntry::decode(&sealed(38, 2));
    assert_eq!(newer, Err(DecodeError::NewerVersion { found: 2, known: 1 }));
    for kind in [31, 39] {
        let other = GroupEntry::decode(&sealed(kind, 1));
        assert_eq!(other, Err(DecodeError::UnknownKind(kind)));
    }
}

/// Entries that cannot come next are the log's fault, and no panic.
#[test]
fn entries_that_contradict_those_before_them_are_refused() {
    let opened = |generation| Change::GenerationOpened {
        generation,
        protocol_type: name("t"),
        inhabited: true,
    };
    let stable = |members| Change::GenerationStable {
        generation: 3,
        protocol: name("r"),
        leader: name("m"),
        members,
    };
    let assigned = |generation, before| Change::MembersAssigned {
        generation,
        before,
        members: vec![member(Some("i"), None)],
    };
    let replaced = |old: &str| Change::StaticReplaced {
        old: name(old),
        member: member(Some("i"), None),
    };
    let fine = [opened(3), assigned(3, 0), stable(1), replaced("m")];
    let wrong = [
        vec![Change::GroupRemoved],
        vec![opened(0)],
        vec![opened(3), opened(3)],
        vec![opened(3), assigned(2, 0)],
        vec![opened(3), assigned(3, 1)],
        vec![opened(3), stable(0)],
        vec![opened(3), assigned(3, 0), stable(2)],
        vec![opened(3), assigned(3, 0), stable(1), replaced("o")],
        vec![replaced("m")],
    ];
    let recovers = |changes: &[Change]| {
        let bench = Bench::new();
        let entries: Vec<_> = changes
            .iter()
            .enumerate()
            .map(|(ordinal, change)| {
                let entry = GroupEntry::new(&name("g"), change.clone());
                bench.stored(ordinal, &entry)
            })
            .collect();
        let remains = Remains {
            snapshot: None,
            entries: &entries,
            next: Offset(0),
        };
        Coordinator::recover(setup(1, bench.now), &remains).is_ok()
    };
    assert!(recovers(&fine));
    for changes in wrong {
        assert!(!recovers(&changes), "{changes:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        kind in 30..42u16,
    ) {
        let mut entry = crate::codec::Writer::new(kind, 1, 0);
        entry.put(&bytes);
        let _ = GroupEntry::decode(&entry.seal());
        let mut piece = crate::codec::Writer::piece(4, 1);
        piece.u32(0);
        piece.put(&bytes);
        let _ = restore(&piece.seal_piece());
        let _ = restore(&bytes);
    }
}
