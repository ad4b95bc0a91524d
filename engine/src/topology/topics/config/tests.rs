//! What a topic may choose, what it is told otherwise, and what comes of it.

use super::*;
use crate::settings::{ConfigSource, DefaultValue};
use crate::topology::{
    Command, TopicChanges, TopicCommand, TopicId, TopicRefusal, Topology, TopologyEntry,
    TopologyRefusal, TopologySettings,
};
use leveret_storage::types::WallMs;

const DEFAULTS: TopicSettings = TopicSettings {
    retention_ms: Some(5000),
    segment_bytes: 64 << 20,
    segment_ms: 60_000,
    max_message_limit: 2 << 20,
    ..TopicSettings::BUILT_IN
};

fn set(pairs: &[(&str, &str)]) -> Result<TopicConfig, InvalidConfig> {
    TopicConfig::default().changed(pairs, &[], &DEFAULTS)
}

fn value(config: &TopicConfig, name: &str) -> (String, ConfigSource) {
    let entries = config.entries(&DEFAULTS);
    let line = entries.iter().find(|e| e.setting.name == name);
    let line = line.expect("every setting is listed");
    (line.value.clone(), line.source)
}

fn one() -> leveret_storage::homes::Homes {
    leveret_storage::homes::Homes::interleaved(1)
}

#[test]
fn declarations_are_sound() {
    let names: Vec<_> = TOPIC_SETTINGS.iter().map(|setting| setting.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted, "by name, each once");
    for setting in TOPIC_SETTINGS {
        let found = TopicSetting::called(setting.name).map(|found| found.key);
        assert_eq!(found, Ok(setting.key));
        assert_eq!(setting.number, setting.key as u16);
        assert!(setting.prose.ends_with('.'), "{}: sentences", setting.name);
        let silent = setting.prose.starts_with("Without effect.");
        assert_eq!(silent, !setting.has_effect(), "{}: says so", setting.name);
        if let DefaultValue::Fixed(text) = setting.default {
            let value = setting.form.parse(text).expect(setting.name);
            assert_eq!(setting.form.text(&value), text, "{}", setting.name);
        }
    }
}

#[test]
fn all_but_one_are_kafkas() {
    let ours = TOPIC_SETTINGS.iter().filter(|setting| setting.ours);
    let ours: Vec<_> = ours.map(|setting| setting.name).collect();
    assert_eq!(ours, ["durability"]);
}

#[test]
fn what_is_not_set_is_the_brokers() {
    let config = set(&[("retention.ms", "-1"), ("segment.bytes", "1048576")]).unwrap();
    let settings = config.over(&DEFAULTS);
    let expected = TopicSettings {
        retention_ms: None,
        segment_bytes: 1 << 20,
        ..DEFAULTS
    };
    assert_eq!(settings, expected);
    let topic = |text: &str| (text.to_owned(), ConfigSource::Own);
    let broker = |text: &str, name| (text.to_owned(), ConfigSource::Broker(name));
    assert_eq!(value(&config, "retention.ms"), topic("-1"));
    assert_eq!(value(&config, "segment.bytes"), topic("1048576"));
    assert_eq!(
        value(&config, "segment.ms"),
        broker("60000", "segment.time")
    );
    assert_eq!(
        value(&config, "durability"),
        broker("synced", "topic.level")
    );
    let built_in = |text: &str| (text.to_owned(), ConfigSource::BuiltIn);
    assert_eq!(value(&config, "cleanup.policy"), built_in("delete"));
    assert_eq!(
        value(&config, "message.timestamp.type"),
        built_in("CreateTime")
    );
    for (setting, text, from) in [
        (
            "message.timestamp.before.max.ms",
            "9223372036854775807",
            "topic.timestamp.before.max",
        ),
        (
            "message.timestamp.after.max.ms",
            "3600000",
            "topic.timestamp.after.max",
        ),
    ] {
        assert_eq!(value(&config, setting), broker(text, from));
    }
    let back = config.changed(&[], &["retention.ms"], &DEFAULTS).unwrap();
    assert_eq!(
        value(&back, "retention.ms"),
        broker("5000", "topic.retention.time")
    );
    // A default that changes reaches who did not choose.
    let other = TopicSettings {
        retention_ms: Some(9),
        segment_bytes: 2 << 20,
        timestamp_before_max_ms: 7,
        ..DEFAULTS
    };
    assert_eq!(back.over(&other).timestamp_before_max_ms, 7);
    assert_eq!(back.over(&other).retention_ms, Some(9));
    assert_eq!(back.over(&other).segment_bytes, 1 << 20);
}

#[test]
fn every_setting_takes_effect() {
    let all = set(&[
        ("cleanup.policy", "delete"),
        ("durability", "written"),
        ("max.message.bytes", "2048"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.bytes", "1000"),
        ("retention.ms", "1"),
        ("segment.bytes", "4294967296"),
        ("segment.ms", "1000"),
    ]);
    let expected = TopicSettings {
        level: Level::Written,
        retention_bytes: Some(1000),
        retention_ms: Some(1),
        segment_bytes: 4 << 30,
        segment_ms: 1000,
        max_message_bytes: 2048,
        max_message_limit: 2 << 20,
        timestamps: TimestampType::LogAppend,
        timestamp_before_max_ms: i64::MAX as u64,
        timestamp_after_max_ms: 3_600_000,
    };
    assert_eq!(all.unwrap().over(&DEFAULTS), expected);
}

#[test]
fn refusals_name_key_value_and_bounds() {
    for (key, text, part) in [
        ("retention.ms", "x", "0 to 9223372036854775807, or -1"),
        ("retention.ms", "-2", "-1 for no limit"),
        ("retention.bytes", "lots", "it must be a number from 0"),
        ("segment.bytes", "-1", "1048576 to 4294967296"),
        ("segment.ms", "0", "1 to"),
        (
            "max.message.bytes",
            "2097153",
            "topic.message.max.bytes is 2097152",
        ),
        ("max.message.bytes", "-1", "0 to"),
        ("compression.type", "lz4", "use producer"),
        ("compression.type", "brotli", "it must be one of producer"),
        ("compression.gzip.level", "0", "1 to 9, or -1"),
        ("min.insync.replicas", "2", "replication is not built yet"),
        ("min.insync.replicas", "0", "1 to 2147483647"),
        (
            "remote.storage.enable",
            "TRUE",
            "tiered storage is not built yet",
        ),
        ("preallocate", "yes", "it must be one of true, false"),
        ("min.cleanable.dirty.ratio", "1.5", "a fraction from 0 to 1"),
        ("min.cleanable.dirty.ratio", "NaN", "a fraction from 0 to 1"),
        (
            "leader.replication.throttled.replicas",
            "0:1,2",
            "PARTITION:BROKER",
        ),
        (
            "message.timestamp.type",
            "logappendtime",
            "CreateTime, LogAppendTime",
        ),
        ("durability", "fsync", "memory, written, synced"),
        ("cleanup.policy", "compact", "compaction is not built yet"),
        (
            "cleanup.policy",
            "compact,delete",
            "compaction is not built yet",
        ),
        ("cleanup.policy", "", "it must be one of delete"),
    ] {
        let error = set(&[(key, text)]).unwrap_err();
        let said = error.to_string();
        let whole = said.contains(&format!("`{key}` cannot be `{text}`")) && said.contains(part);
        assert!(whole, "{key} = {text}: {said}");
    }
    let lags = set(&[
        ("min.compaction.lag.ms", "8"),
        ("max.compaction.lag.ms", "7"),
    ]);
    let said = lags.unwrap_err().to_string();
    assert!(said.contains("max.compaction.lag.ms is only 7"), "{said}");
    let unknown = set(&[("message.format.version", "1")])
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("`message.format.version`"), "{unknown}");
    assert!(unknown.contains("retention.ms"), "{unknown}");
    let (called, key) = ("topic setting", "segment.ms");
    let twice = InvalidConfig::Twice { called, key };
    let found = set(&[("segment.ms", "2000"), ("segment.ms", "2000")]);
    assert_eq!(found, Err(twice.clone()));
    let both =
        TopicConfig::default().changed(&[("segment.ms", "2000")], &["segment.ms"], &DEFAULTS);
    assert_eq!(both, Err(twice));
    let long = set(&[("durability", &"\u{e9}".repeat(100_000))]).unwrap_err();
    assert!(long.to_string().len() < 400, "an error stays short");
}

#[test]
fn what_has_no_effect_is_kept_and_shown_through_an_entry() {
    let replicas = "0:1,3:1";
    let own = [
        ("compression.type", "producer"),
        ("flush.messages", "1"),
        ("follower.replication.throttled.replicas", replicas),
        ("leader.replication.throttled.replicas", "*"),
        ("min.cleanable.dirty.ratio", "0.25"),
        ("min.insync.replicas", "1"),
        ("remote.storage.enable", "false"),
        ("retention.ms", "0"),
        ("segment.ms", "500"),
        ("unclean.leader.election.enable", "True"),
    ];
    let mut topology = Topology::new(
        TopologySettings {
            defaults: DEFAULTS,
            ..TopologySettings::default()
        },
        one(),
    );
    let create = Command::Topic(TopicCommand::Create {
        name: "t".parse().unwrap(),
        partitions: 1,
        config: own.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
    });
    let entry = topology.decide(&create, WallMs(0)).unwrap();
    let bytes = entry.encode();
    assert_eq!(TopologyEntry::decode(&bytes), Ok(entry.clone()));
    topology.apply(&entry);
    let snapshot = topology.snapshot().collect::<Vec<_>>().concat();
    let back =
        Topology::recover(Some(&snapshot), [].into_iter(), topology.settings, one()).unwrap();
    let topic = back.topic_named("t").unwrap();
    let shown = back.config_of(topic);
    for (name, value) in own {
        let line = shown.iter().find(|e| e.setting.name == name).unwrap();
        let found = (line.value.to_lowercase(), line.source);
        assert_eq!(found, (value.to_lowercase(), ConfigSource::Own), "{name}");
    }
    // Nothing of it is in force but the last two that have an effect.
    let expected = TopicSettings {
        retention_ms: Some(0),
        segment_ms: 500,
        ..DEFAULTS
    };
    assert_eq!(back.settings_of(topic), expected);
    // What is not set is told with Kafka's default.
    let value = |name| value(&TopicConfig::default(), name).0;
    assert_eq!(value("min.insync.replicas"), "1");
    assert_eq!(value("min.cleanable.dirty.ratio"), "0.5");
    assert_eq!(value("message.timestamp.after.max.ms"), "3600000");
}

#[test]
fn unsetting_what_is_not_set_changes_nothing() {
    let config = set(&[("segment.ms", "2000")]).unwrap();
    let unset = ["min.insync.replicas", "retention.ms"];
    let same = config.changed(&[], &unset, &DEFAULTS);
    assert_eq!(same, Ok(config));
}

#[test]
fn a_lowered_bound_of_the_broker_holds_for_topics_that_chose_more() {
    let config = set(&[("max.message.bytes", "2000000")]).unwrap();
    assert_eq!(config.over(&DEFAULTS).max_message_bytes, 2_000_000);
    let lowered = TopicSettings {
        max_message_limit: 4096,
        ..DEFAULTS
    };
    assert_eq!(config.over(&lowered).max_message_bytes, 4096);
}

#[test]
fn a_topic_is_altered_as_a_whole_or_not_at_all() {
    let mut topology = Topology::new(
        TopologySettings {
            partitions_per_topic: 4,
            partitions: 5,
            defaults: DEFAULTS,
        },
        one(),
    );
    let create = Command::Topic(TopicCommand::Create {
        name: "t".parse().unwrap(),
        partitions: 2,
        config: vec![("segment.ms".to_owned(), "2000".to_owned())],
    });
    let created = topology.decide(&create, WallMs(0)).unwrap();
    topology.apply(&created);
    let alter = |set: &[(&str, &str)], unset: &[&str], partitions| {
        Command::Topic(TopicCommand::Alter {
            id: TopicId(1),
            changes: TopicChanges {
                set: set
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                unset: unset.iter().map(|key| (*key).to_owned()).collect(),
                partitions,
            },
        })
    };
    let before: Vec<_> = topology.snapshot().collect();
    let decide = |topology: &Topology, command| topology.decide(&command, WallMs(0));
    let not_more =
        |asked| TopologyRefusal::Topic(TopicRefusal::NotMorePartitions { present: 2, asked });
    let refused = |topology: &Topology, command| decide(topology, command).unwrap_err();
    assert_eq!(refused(&topology, alter(&[], &[], Some(2))), not_more(2));
    assert_eq!(refused(&topology, alter(&[], &[], Some(0))), not_more(0));
    let most = TopologyRefusal::Topic(TopicRefusal::PartitionCount { asked: 5, most: 4 });
    assert_eq!(refused(&topology, alter(&[], &[], Some(5))), most);
    let refusal = refused(&topology, alter(&[("segment.ms", "0")], &[], Some(3)));
    assert!(
        matches!(refusal, TopologyRefusal::Topic(TopicRefusal::Config(_))),
        "{refusal}"
    );
    let refusal = refused(&topology, alter(&[("durability", "memory")], &[], None));
    let said = refusal.to_string();
    assert!(said.contains("stays at memory, or away from it"), "{said}");
    assert!(topology.snapshot().eq(before));

    let command = alter(&[("durability", "written")], &["segment.ms"], Some(3));
    let entry = decide(&topology, command).unwrap();
    topology.apply(&entry);
    let topic = topology.topic_named("t").unwrap();
    assert_eq!(topic.partitions(), 3);
    let settings = topology.settings_of(topic);
    assert_eq!(
        (settings.level, settings.segment_ms),
        (Level::Written, 60_000)
    );
    let sources = topology.config_of(topic);
    let own = sources.iter().filter(|e| e.source == ConfigSource::Own);
    let own: Vec<_> = own.map(|e| (e.setting.key, e.value.as_str())).collect();
    assert_eq!(own, [(TopicKey::Durability, "written")]);
}
