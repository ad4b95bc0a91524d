//! Topics come and go; whatever is written can be rebuilt, and nothing else can be read.

mod pieces;

use proptest::prelude::*;

use std::sync::Arc;

use super::*;
use crate::codec::DecodeError;
use leveret_storage::types::Ordinal;

const LIMITS: TopologySettings = TopologySettings {
    partitions_per_topic: 8,
    partitions: 12,
    defaults: TopicSettings {
        retention_ms: Some(1000),
        segment_ms: 1 << 20,
        max_message_limit: 2 << 20,
        ..TopicSettings::BUILT_IN
    },
};

fn two() -> Homes {
    Homes::interleaved(2)
}

fn new(settings: TopologySettings) -> Topology {
    Topology::new(settings, two())
}

fn create(name: &str, partitions: u32) -> Command {
    Command::Topic(TopicCommand::Create {
        name: name.parse().unwrap(),
        partitions,
        config: pairs(&[("durability", "written"), ("retention.bytes", "4096")]),
    })
}

fn pairs(config: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    config.iter().map(owned).collect()
}

fn run(topology: &mut Topology, command: &Command) -> Result<TopologyEntry, TopologyRefusal> {
    let entry = topology.decide(command, WallMs(5))?;
    topology.apply(&entry);
    Ok(entry)
}

/// What survives of it, in one piece.
fn kept(topology: &Topology) -> Vec<u8> {
    topology.snapshot().collect::<Vec<_>>().concat()
}

fn slots(topic: &Topic) -> Vec<u8> {
    topic.slots.iter().map(|slot| slot.0).collect()
}

#[test]
fn names_follow_kafkas_rules() {
    for good in ["a", "A-b_c.9", "...", &"x".repeat(249)] {
        assert_eq!(TopicName::new(good).unwrap().as_str(), good);
    }
    let refused = |name: &str| TopicName::new(name).unwrap_err();
    assert_eq!(refused(""), InvalidTopicName::Empty);
    assert_eq!(refused("."), InvalidTopicName::Dots);
    assert_eq!(refused(".."), InvalidTopicName::Dots);
    assert_eq!(refused("a b"), InvalidTopicName::Character(' '));
    assert_eq!(refused("caf\u{e9}"), InvalidTopicName::Character('\u{e9}'));
    assert_eq!(refused("a/b"), InvalidTopicName::Character('/'));
    assert_eq!(refused(&"x".repeat(250)), InvalidTopicName::TooLong(250));
}

#[test]
fn names_that_differ_only_in_dots_and_underscores_collide() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("a.b_c", 1)).unwrap();
    let refused = |topology: &Topology, name: &str| {
        let refusal = topology.decide(&create(name, 1), WallMs(5)).unwrap_err();
        matches!(refusal, TopologyRefusal::Topic(TopicRefusal::NameCollides { other, .. }) if other.as_str() == "a.b_c")
    };
    for name in ["a_b_c", "a.b.c", "a_b.c"] {
        assert!(refused(&topology, name), "{name}");
    }
    for name in ["a-b_c", "a.b_", "a.b_c_", "abc"] {
        run(&mut topology, &create(name, 1)).unwrap();
    }
    let same = topology.decide(&create("a.b_c", 1), WallMs(5));
    assert!(matches!(
        same,
        Err(TopologyRefusal::Topic(TopicRefusal::Exists { .. }))
    ));
    // Also after a restart, and no more once the other is gone.
    topology = Topology::recover(Some(&kept(&topology)), [].into_iter(), LIMITS, two()).unwrap();
    assert!(refused(&topology, "a_b_c"));
    run(
        &mut topology,
        &Command::Topic(TopicCommand::Delete { id: TopicId(1) }),
    )
    .unwrap();
    run(&mut topology, &create("a_b_c", 1)).unwrap();
}

#[test]
fn topics_that_collided_before_they_were_refused_live_on() {
    let mut topology = new(LIMITS);
    let first = run(&mut topology, &create("a.b", 1)).unwrap();
    let mut other = new(LIMITS);
    run(&mut other, &create("x", 1)).unwrap();
    let second = run(&mut other, &create("a_b", 1)).unwrap();
    let entries = [first.encode(), second.encode()];
    let replay = (0..)
        .map(Ordinal)
        .zip(entries.iter().map(|bytes| &bytes[..]));
    let mut topology = Topology::recover(None, replay, LIMITS, two()).unwrap();
    assert!(topology.topic_named("a.b").is_some() && topology.topic_named("a_b").is_some());
    run(
        &mut topology,
        &Command::Topic(TopicCommand::Delete { id: TopicId(1) }),
    )
    .unwrap();
    assert!(topology.decide(&create("a.b", 1), WallMs(5)).is_err());
}

#[test]
fn kafkas_own_names_are_nobodys() {
    let topology = new(LIMITS);
    let refused = topology.decide(&create("__consumer_offsets", 1), WallMs(5));
    assert!(matches!(
        refused,
        Err(TopologyRefusal::Topic(TopicRefusal::NameReserved { .. }))
    ));
    assert!(topology.decide(&create("__consumer", 1), WallMs(5)).is_ok());
}

#[test]
fn a_data_directory_is_named_once() {
    let mut topology = new(LIMITS);
    let unnamed = topology.decide(&Command::Cluster(NameCluster), WallMs(5));
    assert_eq!(unnamed, Err(TopologyRefusal::Cluster(NoProposedName)));
    topology.propose_cluster(ClusterId(7));
    assert_eq!(topology.cluster(), Some(ClusterId(7)));
    // What is only proposed does not outlive the run.
    let again = Topology::recover(Some(&kept(&topology)), [].into_iter(), LIMITS, two()).unwrap();
    assert_eq!(again.cluster(), None);
    let entry = run(&mut topology, &Command::Cluster(NameCluster)).unwrap();
    assert!(!topology.has_proposed_cluster());
    let bytes = entry.encode();
    let log = [(Ordinal(0), &bytes[..])];
    let replayed = Topology::recover(None, log.into_iter(), LIMITS, two()).unwrap();
    let kept = Topology::recover(Some(&kept(&topology)), [].into_iter(), LIMITS, two()).unwrap();
    for mut found in [replayed, kept] {
        found.propose_cluster(ClusterId(8));
        assert_eq!(found.cluster(), Some(ClusterId(7)));
        let twice = found.decide(&Command::Cluster(NameCluster), WallMs(5));
        assert_eq!(twice, Err(TopologyRefusal::Cluster(NoProposedName)));
    }
    let twice = [(Ordinal(0), &bytes[..]), (Ordinal(1), &bytes[..])];
    assert!(Topology::recover(None, twice.into_iter(), LIMITS, two()).is_err());
}

#[test]
fn a_topic_is_found_by_id_name_and_log_until_it_is_deleted() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("b", 3)).unwrap();
    run(&mut topology, &create("a", 2)).unwrap();
    let b = Arc::clone(topology.topic_named("b").unwrap());
    assert_eq!(topology.topic(b.id), Some(&b));
    let after = |name: Option<&str>| {
        let name = name.map(|name| TopicName::new(name).unwrap());
        let topics = topology.topics_after(name.as_ref());
        topics
            .map(|topic| topic.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(after(None), ["a", "b"]);
    assert_eq!(after(Some("a")), ["b"]);
    assert_eq!(after(Some("aa")), ["b"]);
    assert!(after(Some("b")).is_empty());
    assert_eq!(b.partition(2), Some((LogId(3), SlotId(2))));
    assert_eq!(b.partition(3), None);
    assert_eq!(topology.owner_of(TOPOLOGY_LOG), Some(LogOwner::Topology));
    let partition = LogOwner::Partition {
        topic: &b,
        index: 2,
    };
    assert_eq!(topology.owner_of(LogId(3)), Some(partition));
    assert_eq!(topology.owner_of(LogId(6)), None);
    let names: Vec<_> = topology.topics().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    run(
        &mut topology,
        &Command::Topic(TopicCommand::Delete { id: b.id }),
    )
    .unwrap();
    assert_eq!(topology.topic_named("b"), None);
    assert_eq!(topology.owner_of(LogId(3)), None);
    assert_eq!(topology.partitions(), 2);
    // Under the old name, everything is new.
    run(&mut topology, &create("b", 1)).unwrap();
    let again = topology.topic_named("b").unwrap();
    assert_eq!((again.id, again.runs[0].log), (TopicId(3), LogId(6)));
}

#[test]
fn refusals_name_the_limit_and_change_nothing() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("a", 8)).unwrap();
    let before = kept(&topology);
    let mut refused = |command| run(&mut topology, &command).unwrap_err();
    let name = "a".parse().unwrap();
    let exists = TopologyRefusal::Topic(TopicRefusal::Exists {
        name,
        id: TopicId(1),
    });
    assert_eq!(refused(create("a", 1)), exists);
    let count = |asked| TopologyRefusal::Topic(TopicRefusal::PartitionCount { asked, most: 8 });
    assert_eq!(refused(create("b", 0)), count(0));
    assert_eq!(refused(create("b", 9)), count(9));
    let full = TopologyRefusal::Topic(TopicRefusal::TooManyPartitions {
        present: 8,
        most: 12,
    });
    assert_eq!(refused(create("b", 5)), full);
    let id = TopicId(9);
    assert_eq!(
        refused(Command::Topic(TopicCommand::Delete { id })),
        TopologyRefusal::Topic(TopicRefusal::Unknown { id })
    );
    let none = TopologyRefusal::ProducerIds(NoProducerIds { count: 0 });
    assert_eq!(
        refused(Command::ProducerIds(ReserveProducerIds { count: 0 })),
        none
    );
    assert_eq!(kept(&topology), before);
    run(&mut topology, &create("b", 4)).unwrap();
}

#[test]
fn partitions_go_to_the_least_loaded_core_and_there_to_the_least_loaded_slot() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("a", 3)).unwrap();
    assert_eq!(slots(topology.topic_named("a").unwrap()), [0, 1, 2]);
    run(&mut topology, &create("b", 3)).unwrap();
    assert_eq!(slots(topology.topic_named("b").unwrap()), [3, 4, 5]);
    let id = topology.topic_named("a").unwrap().id;
    run(&mut topology, &Command::Topic(TopicCommand::Delete { id })).unwrap();
    // Slots 0, 1 and 2 are free again; core 1 has one log more than core 0.
    run(&mut topology, &create("c", 2)).unwrap();
    let c = topology.topic_named("c").unwrap();
    assert_eq!(slots(c), [0, 2]);
    let logs: Vec<_> = c.logs().map(|(log, _)| log).collect();
    assert_eq!(logs, [LogId(7), LogId(8)]);
}

#[test]
fn another_number_of_cores_changes_no_slot() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("a", 8)).unwrap();
    let (snapshot, nothing) = (kept(&topology), [].into_iter());
    let homes = two().moved_to(3);
    let moved = Topology::recover(Some(&snapshot), nothing, LIMITS, homes.clone()).unwrap();
    assert_eq!(*moved.homes(), homes);
    let (before, after) = (topology.topic_named("a"), moved.topic_named("a"));
    assert_eq!(before, after);
    assert_eq!(kept(&moved), snapshot);
}

#[test]
fn producer_ids_never_repeat() {
    let mut topology = new(LIMITS);
    let mut ids = ProducerIds::default();
    assert_eq!(ids.take(), None);
    let mut given = Vec::new();
    for round in 0..3 {
        let entry = run(
            &mut topology,
            &Command::ProducerIds(ReserveProducerIds { count: 2 }),
        )
        .unwrap();
        let TopologyEntry::ProducerIds(ProducerIdsReserved { first, count }) = entry else {
            panic!("{entry:?}");
        };
        ids.refill(first, count);
        given.extend(ids.take());
        if round > 0 {
            given.extend(ids.take());
        }
        // A restart between blocks: what was not taken is lost, nothing repeats.
        topology =
            Topology::recover(Some(&kept(&topology)), [].into_iter(), LIMITS, two()).unwrap();
    }
    assert_eq!(given, [0, 2, 3, 4, 5]);
    assert_eq!(ids.take(), None);
}

#[test]
fn entries_read_back_and_every_flipped_bit_is_found() {
    let mut topology = new(LIMITS);
    let entries = [
        run(&mut topology, &create("some-topic", 3)).unwrap(),
        run(
            &mut topology,
            &Command::ProducerIds(ReserveProducerIds { count: 1000 }),
        )
        .unwrap(),
        run(
            &mut topology,
            &Command::Topic(TopicCommand::Delete { id: TopicId(1) }),
        )
        .unwrap(),
        TopologyEntry::Cluster(ClusterNamed(ClusterId(0x0102 << 64 | 3))),
    ];
    for entry in entries {
        let bytes = entry.encode();
        assert_eq!(TopologyEntry::decode(&bytes), Ok(entry));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = TopologyEntry::decode(&damaged).unwrap_err();
            assert!(
                matches!(error, DecodeError::BadCrc { .. }),
                "bit {bit}: {error}"
            );
        }
        let cut = TopologyEntry::decode(&bytes[..bytes.len() - 1]);
        assert!(cut.is_err());
    }
}

#[test]
fn bytes_of_before_the_first_release_are_named_as_such() {
    let mut topology = new(LIMITS);
    let entry = run(&mut topology, &create("a", 1)).unwrap();
    let mut bytes = entry.encode().to_vec();
    bytes[6] = 2;
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let older = DecodeError::OlderVersion {
        found: 2,
        oldest: 3,
    };
    assert_eq!(TopologyEntry::decode(&bytes), Err(older));
    // A whole snapshot under one seal, and without a length.
    let whole = [0, 0, 0, 0, 3, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3];
    let older = TopologyError::Snapshot(DecodeError::OlderVersion {
        found: 4,
        oldest: 5,
    });
    let found = Topology::recover(Some(&whole), [].into_iter(), LIMITS, two());
    assert_eq!(found.unwrap_err(), older);
}

#[test]
fn the_layout_does_not_change_silently() {
    let mut topology = new(LIMITS);
    let entry = topology.decide(&create("ab", 2), WallMs(0x0102)).unwrap();
    topology.apply(&entry);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let topic = "0100000000000000\
                 0201000000000000\
                 02006162\
                 02000000\
                 02000010000000000000\
                 07000100000000000000\
                 01000000\
                 000000000100000000000000\
                 02000000\
                 0001";
    assert_eq!(hex(&entry.encode()[4..]), format!("10000300{topic}"));
    // Each piece without its checksum, but with its length.
    let piece = |kind: &str, body: String| {
        let len = u32::try_from(12 + body.len() / 2).unwrap().swap_bytes();
        format!("{kind}{len:08x}{body}")
    };
    let pieces = |topology: &Topology| -> Vec<String> {
        topology.snapshot().map(|piece| hex(&piece[4..])).collect()
    };
    let head = |parts: &str| piece("03000500", format!("0300000000000000{parts}"));
    let topics = piece(
        "05000100",
        format!("0000000001000000{topic}010200000000000000"),
    );
    assert_eq!(pieces(&topology), [head("0100"), topics.clone()]);
    let id = "02010000000000000300000000000000";
    let named = TopologyEntry::Cluster(ClusterNamed(ClusterId(0x0102 << 64 | 3)));
    assert_eq!(hex(&named.encode()[4..]), format!("28000100{id}"));
    topology.apply(&named);
    run(
        &mut topology,
        &Command::ProducerIds(ReserveProducerIds { count: 5 }),
    )
    .unwrap();
    let ids = piece("06000100", "0000000000000000010500000000000000".to_owned());
    let name = piece("07000100", format!("000000000000000001{id}"));
    assert_eq!(pieces(&topology), [head("0300"), topics, ids, name]);
}

#[test]
fn the_layout_of_an_alteration_does_not_change_silently() {
    let mut topology = new(LIMITS);
    run(&mut topology, &create("ab", 2)).unwrap();
    let changes = TopicChanges {
        unset: vec!["retention.bytes".to_owned()],
        partitions: Some(3),
        ..TopicChanges::default()
    };
    let id = TopicId(1);
    let entry = run(
        &mut topology,
        &Command::Topic(TopicCommand::Alter { id, changes }),
    )
    .unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let altered = "0100000000000000\
                   01000000\
                   07000100000000000000\
                   02000000\
                   0300000000000000\
                   01000000\
                   02";
    assert_eq!(hex(&entry.encode()[4..]), format!("13000200{altered}"));
}

#[test]
fn recovery_refuses_entries_that_contradict() {
    let mut topology = new(LIMITS);
    let created = run(&mut topology, &create("a", 1)).unwrap().encode();
    let twice = [(Ordinal(0), &created[..]), (Ordinal(1), &created[..])];
    let error = Topology::recover(None, twice.into_iter(), LIMITS, two()).unwrap_err();
    assert_eq!(
        error,
        TopologyError::Contradiction {
            ordinal: Ordinal(1)
        }
    );
    let gone = TopologyEntry::Topic(TopicEntry::Deleted(TopicId(7))).encode();
    let error = Topology::recover(None, [(Ordinal(0), &gone[..])].into_iter(), LIMITS, two());
    let contradiction = TopologyError::Contradiction {
        ordinal: Ordinal(0),
    };
    assert_eq!(error.unwrap_err(), contradiction);
    // An alteration of a topic that has another number of partitions, or of none.
    for partition in [1, 2] {
        let altered = TopologyEntry::Topic(TopicEntry::Altered(Arc::new(TopicAltered {
            id: TopicId(1),
            config: TopicConfig::default(),
            partition,
            log: LogId(9),
            slots: vec![SlotId(0)],
        })));
        let bytes = altered.encode();
        let entries = [(Ordinal(0), &created[..]), (Ordinal(1), &bytes[..])];
        let found = Topology::recover(None, entries.into_iter(), LIMITS, two());
        assert_eq!(found.is_ok(), partition == 1);
        let alone = Topology::recover(None, [(Ordinal(0), &bytes[..])].into_iter(), LIMITS, two());
        assert_eq!(alone.unwrap_err(), contradiction);
    }
}

/// A snapshot is made of pieces of bounded length, and none of them may be missing.
#[test]
fn a_snapshot_comes_in_bounded_pieces_and_every_one_is_needed() {
    let many = TopologySettings {
        partitions: 100_000,
        ..LIMITS
    };
    let mut topology = new(many);
    for n in 0..3000 {
        run(
            &mut topology,
            &create(&format!("a-topic-of-some-length-{n:05}"), 8),
        )
        .unwrap();
    }
    run(
        &mut topology,
        &Command::ProducerIds(ReserveProducerIds { count: 5 }),
    )
    .unwrap();
    let pieces: Vec<_> = topology.snapshot().collect();
    assert!(pieces.len() > 4, "{}", pieces.len());
    assert!(pieces.iter().all(|piece| piece.len() < 65 << 10));
    let recover =
        |pieces: &[Bytes]| Topology::recover(Some(&pieces.concat()), [].into_iter(), many, two());
    assert_eq!(kept(&recover(&pieces).unwrap()), pieces.concat());
    for missing in 0..pieces.len() {
        let mut fewer = pieces.clone();
        fewer.remove(missing);
        assert!(recover(&fewer).is_err(), "without {missing}");
    }
    let mut more = pieces.clone();
    more.push(pieces[pieces.len() - 1].clone());
    assert!(recover(&more).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8, u32),
    Delete(u64),
    Alter(u64, Option<u32>, bool),
    Reserve(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6u8, 0..10u32).prop_map(|(name, partitions)| Step::Create(name, partitions)),
        2 => (0..20u64).prop_map(Step::Delete),
        3 => (0..20u64, prop::option::of(0..10u32), any::<bool>())
            .prop_map(|(id, partitions, set)| Step::Alter(id, partitions, set)),
        1 => (0..3u32).prop_map(Step::Reserve),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Every copy that applied the same entries, or a snapshot and the rest of them, is the same.
    #[test]
    fn snapshot_and_replay_give_the_same_topology(
        steps in prop::collection::vec(step(), 1..60),
        cut in 0..60usize,
    ) {
        let mut topology = new(LIMITS);
        let mut log = Vec::new();
        let mut snapshot = kept(&topology);
        let mut from = 0;
        let mut logs_given = std::collections::BTreeSet::new();
        for (n, step) in steps.into_iter().enumerate() {
            let command = match step {
                Step::Create(name, partitions) => create(&format!("t{name}"), partitions),
                Step::Delete(id) => Command::Topic(TopicCommand::Delete { id: TopicId(id) }),
                Step::Alter(id, partitions, set) => {
                    let changes = TopicChanges {
                        set: pairs(if set { &[("retention.ms", "7")] } else { &[] }),
                        unset: if set { vec![] } else { vec!["retention.bytes".to_owned()] },
                        partitions,
                    };
                    Command::Topic(TopicCommand::Alter { id: TopicId(id), changes })
                }
                Step::Reserve(count) => Command::ProducerIds(ReserveProducerIds { count }),
            };
            if let Ok(entry) = run(&mut topology, &command) {
                let given: Vec<_> = match &entry {
                    TopologyEntry::Topic(TopicEntry::Created(topic)) => topic.logs().collect(),
                    TopologyEntry::Topic(TopicEntry::Altered(altered)) => altered.added().collect(),
                    _ => Vec::new(),
                };
                for (log, _) in given {
                    prop_assert!(logs_given.insert(log), "log ids are never reused");
                }
                log.push(entry.encode());
            }
            if n == cut {
                snapshot = kept(&topology);
                from = log.len();
            }
            let held: u32 = topology.topics().map(|topic| topic.partitions()).sum();
            prop_assert_eq!(held, topology.partitions());
            for topic in topology.topics() {
                for (index, (log, slot)) in (0..).zip(topic.logs()) {
                    prop_assert_eq!(topic.partition(index), Some((log, slot)));
                    prop_assert_eq!(topology.partition_of(log), Some((topic, index)));
                }
            }
            prop_assert!(held <= LIMITS.partitions);
        }
        let tail = log[from..].iter().enumerate();
        let replay = tail.map(|(n, bytes)| (Ordinal((from + n) as u64), &bytes[..]));
        let recovered = Topology::recover(Some(&snapshot), replay, LIMITS, two()).unwrap();
        prop_assert_eq!(kept(&recovered), kept(&topology));
        let loads = |topology: &Topology| topology.decide(&create("new", 1), WallMs(0));
        prop_assert_eq!(loads(&recovered), loads(&topology));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 0..41u8, version in 1..6u8) {
        let mut sealed = vec![0, 0, 0, 0, kind, 0, version, 0];
        sealed.extend(&bytes);
        let crc = crc32c::crc32c(&sealed[4..]);
        sealed[..4].copy_from_slice(&crc.to_le_bytes());
        if let Ok(entry) = TopologyEntry::decode(&sealed) {
            prop_assert_eq!(entry.encode(), sealed.clone());
        }
        let _ = Topology::recover(Some(&sealed), [].into_iter(), LIMITS, two());
    }
}
