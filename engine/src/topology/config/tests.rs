//! What a topic may choose, what it is told otherwise, and what comes of it.

use super::super::{Command, TopicChanges, TopicId, Topology, TopologyRefusal, TopologySettings};
use super::*;
use leveret_storage::types::WallMs;

const DEFAULTS: TopicSettings = TopicSettings {
    level: Level::Synced,
    retention_bytes: None,
    retention_ms: Some(5000),
    segment_bytes: 64 << 20,
    segment_ms: 60_000,
    max_message_bytes: 1 << 20,
    timestamps: TimestampType::Create,
};

fn set(pairs: &[(&str, &str)]) -> Result<TopicConfig, InvalidConfig> {
    TopicConfig::default().changed(pairs, &[], &DEFAULTS)
}

fn value(config: &TopicConfig, name: &str) -> (String, ConfigSource) {
    let entries = config.entries(&DEFAULTS);
    let line = entries.iter().find(|e| e.key.setting().name == name);
    let line = line.expect("every setting is listed");
    (line.value.clone(), line.source)
}

#[test]
fn declarations_are_sound() {
    let names: Vec<_> = TOPIC_SETTINGS.iter().map(|setting| setting.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted, "by name, each once");
    for setting in TOPIC_SETTINGS {
        assert_eq!(TopicKey::named(setting.name), Ok(setting.key));
        assert_eq!(TopicKey::numbered(setting.key as u16), Some(setting.key));
        assert!(setting.prose.ends_with('.'), "{}: sentences", setting.name);
        assert!(setting.form.admits(get(&DEFAULTS, setting.key)));
    }
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
    let topic = |text: &str| (text.to_owned(), ConfigSource::Topic);
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
    let back = config.changed(&[], &["retention.ms"], &DEFAULTS).unwrap();
    assert_eq!(
        value(&back, "retention.ms"),
        broker("5000", "topic.retention.time")
    );
    // A default that changes reaches who did not choose.
    let other = TopicSettings {
        retention_ms: Some(9),
        segment_bytes: 2 << 20,
        ..DEFAULTS
    };
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
        timestamps: TimestampType::LogAppend,
    };
    assert_eq!(all.unwrap().over(&DEFAULTS), expected);
}

#[test]
fn refusals_name_key_value_and_bounds() {
    for (key, text, part) in [
        ("retention.ms", "0", "1 to 9223372036854775807, or -1"),
        ("retention.ms", "-2", "-1 for no limit"),
        ("retention.bytes", "lots", "it is a number from 1"),
        ("segment.bytes", "-1", "1048576 to 4294967296"),
        ("segment.ms", "999", "1000 to"),
        (
            "max.message.bytes",
            "1048577",
            "message.max.bytes is 1048576",
        ),
        ("max.message.bytes", "10", "1024 to"),
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
        ("cleanup.policy", "", "it is one of delete"),
    ] {
        let error = set(&[(key, text)]).unwrap_err();
        let said = error.to_string();
        let whole = said.contains(&format!("`{key}` cannot be `{text}`")) && said.contains(part);
        assert!(whole, "{key} = {text}: {said}");
    }
    let unknown = set(&[("min.insync.replicas", "1")])
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("`min.insync.replicas`"), "{unknown}");
    assert!(unknown.contains("retention.ms"), "{unknown}");
    let twice = InvalidConfig::Twice { key: "segment.ms" };
    let found = set(&[("segment.ms", "2000"), ("segment.ms", "2000")]);
    assert_eq!(found, Err(twice.clone()));
    let both =
        TopicConfig::default().changed(&[("segment.ms", "2000")], &["segment.ms"], &DEFAULTS);
    assert_eq!(both, Err(twice));
    let long = set(&[("durability", &"\u{e9}".repeat(100_000))]).unwrap_err();
    assert!(long.to_string().len() < 400, "an error stays short");
}

#[test]
fn a_lowered_bound_of_the_broker_holds_for_topics_that_chose_more() {
    let config = set(&[("max.message.bytes", "1000000")]).unwrap();
    let lowered = TopicSettings {
        max_message_bytes: 4096,
        ..DEFAULTS
    };
    assert_eq!(config.over(&lowered).max_message_bytes, 4096);
}

#[test]
fn a_topic_is_altered_as_a_whole_or_not_at_all() {
    let mut topology = Topology::new(TopologySettings {
        partitions_per_topic: 4,
        partitions: 5,
        defaults: DEFAULTS,
    });
    let create = Command::CreateTopic {
        name: "t".parse().unwrap(),
        partitions: 2,
        config: vec![("segment.ms".to_owned(), "2000".to_owned())],
    };
    let created = topology.decide(&create, 2, WallMs(0)).unwrap();
    topology.apply(&created);
    let alter = |set: &[(&str, &str)], unset: &[&str], partitions| Command::AlterTopic {
        id: TopicId(1),
        changes: TopicChanges {
            set: set
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            unset: unset.iter().map(|key| (*key).to_owned()).collect(),
            partitions,
        },
    };
    let before = topology.snapshot();
    let decide = |topology: &Topology, command| topology.decide(&command, 2, WallMs(0));
    let not_more = |asked| TopologyRefusal::NotMorePartitions { present: 2, asked };
    let refused = |topology: &Topology, command| decide(topology, command).unwrap_err();
    assert_eq!(refused(&topology, alter(&[], &[], Some(2))), not_more(2));
    assert_eq!(refused(&topology, alter(&[], &[], Some(0))), not_more(0));
    let most = TopologyRefusal::PartitionCount { asked: 5, most: 4 };
    assert_eq!(refused(&topology, alter(&[], &[], Some(5))), most);
    let refusal = refused(&topology, alter(&[("segment.ms", "1")], &[], Some(3)));
    assert!(matches!(refusal, TopologyRefusal::Config(_)), "{refusal}");
    let refusal = refused(&topology, alter(&[("durability", "memory")], &[], None));
    let said = refusal.to_string();
    assert!(said.contains("stays at memory, or away from it"), "{said}");
    assert_eq!(topology.snapshot(), before);

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
    let own = sources.iter().filter(|e| e.source == ConfigSource::Topic);
    let own: Vec<_> = own.map(|e| (e.key, e.value.as_str())).collect();
    assert_eq!(own, [(TopicKey::Durability, "written")]);
}
