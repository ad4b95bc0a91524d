//! The configuration as Kafka's tools know it: what has a name of Kafka's by that name and in
//! its form, then every setting by our own.

use std::time::Duration;

use leveret_wire::kafka::{ConfigSource, ConfigType};

use super::settings::{SETTINGS, Settings};
use crate::core::BrokerSetting;

/// What DescribeConfigs tells of the broker.
#[must_use]
pub fn kafka_config(settings: &Settings) -> Vec<BrokerSetting> {
    let told = |name, own, value, config_type, prose| BrokerSetting {
        name,
        own,
        value,
        config_type,
        source: match own.is_some_and(|own| settings.configured.contains(own)) {
            true => ConfigSource::StaticBroker,
            false => ConfigSource::Default,
        },
        prose,
    };
    let mut all: Vec<BrokerSetting> = named(settings)
        .into_iter()
        .map(|(name, own, value, config_type)| {
            let prose = SETTINGS.iter().find(|setting| setting.key == own);
            let prose = prose.map(|setting| setting.prose);
            told(
                name,
                Some(own),
                value,
                config_type,
                prose.unwrap_or_default(),
            )
        })
        .collect();
    for &(name, value, config_type, prose) in FIXED {
        all.push(told(name, None, value.to_owned(), config_type, prose));
    }
    for setting in SETTINGS {
        if all.iter().all(|known| known.name != setting.key) {
            let value = (setting.shown)(settings);
            let own = Some(setting.key);
            all.push(told(
                setting.key,
                own,
                value,
                ConfigType::String,
                setting.prose,
            ));
        }
    }
    all
}

/// Kafka's name, ours, the value in Kafka's form, and how that is read.
fn named(settings: &Settings) -> Vec<(&'static str, &'static str, String, ConfigType)> {
    let ms = |time: Duration| time.as_millis().to_string();
    let retention_ms = settings.topic_retention_time.map_or("-1".to_owned(), ms);
    let retention_bytes = settings.topic_retention_bytes;
    let retention_bytes = retention_bytes.map_or("-1".to_owned(), |size| size.0.to_string());
    let distance = |bound: Option<Duration>| bound.map_or(i64::MAX.to_string(), ms);
    let text = |number: u64| number.to_string();
    use ConfigType::{Boolean, Int, Long, String};
    let auto_create = settings.kafka_auto_create.to_string();
    let data = settings.data.display().to_string();
    vec![
        (
            "auto.create.topics.enable",
            "kafka.auto_create",
            auto_create,
            Boolean,
        ),
        (
            "connections.max.idle.ms",
            "connections.idle.timeout",
            ms(settings.connections_idle_timeout),
            Long,
        ),
        ("log.dirs", "data", data, String),
        (
            "log.message.timestamp.after.max.ms",
            "topic.timestamp.after.max",
            distance(settings.topic_timestamp_after_max),
            Long,
        ),
        (
            "log.message.timestamp.before.max.ms",
            "topic.timestamp.before.max",
            distance(settings.topic_timestamp_before_max),
            Long,
        ),
        (
            "log.retention.bytes",
            "topic.retention.bytes",
            retention_bytes,
            Long,
        ),
        (
            "log.retention.ms",
            "topic.retention.time",
            retention_ms,
            Long,
        ),
        (
            "log.roll.ms",
            "segment.time",
            ms(settings.segment_time),
            Long,
        ),
        (
            "log.segment.bytes",
            "segment.bytes",
            text(settings.segment_bytes.0),
            Int,
        ),
        (
            "max.connections",
            "connections.max",
            text(settings.connections_max.into()),
            Int,
        ),
        (
            "message.max.bytes",
            "message.max.bytes",
            text(settings.message_max_bytes.0),
            Int,
        ),
        (
            "num.partitions",
            "kafka.partitions",
            text(settings.kafka_partitions.into()),
            Int,
        ),
        (
            "socket.request.max.bytes",
            "kafka.request.bytes",
            text(settings.kafka_request_bytes.0),
            Int,
        ),
    ]
}

/// What Kafka can be told otherwise and this broker cannot.
const FIXED: &[(&str, &str, ConfigType, &str)] = &[
    (
        "compression.type",
        "producer",
        ConfigType::String,
        "Batches are kept as their producer compressed them.",
    ),
    (
        "default.replication.factor",
        "1",
        ConfigType::Int,
        "There is one replica of each partition.",
    ),
    (
        "delete.topic.enable",
        "true",
        ConfigType::Boolean,
        "Topics can be deleted.",
    ),
    (
        "log.cleanup.policy",
        "delete",
        ConfigType::List,
        "Old records go by whole segments.",
    ),
    (
        "log.message.timestamp.type",
        "CreateTime",
        ConfigType::String,
        "Records carry their producer's time unless their topic says otherwise.",
    ),
    (
        "min.insync.replicas",
        "1",
        ConfigType::Int,
        "There is one replica of each partition.",
    ),
    (
        "unclean.leader.election.enable",
        "false",
        ConfigType::Boolean,
        "There is one replica of each partition.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_told_once_and_what_was_set_says_so() {
        let mut settings = Settings::default();
        for assignment in [
            "topic.retention.time=none",
            "message.max.bytes=1048588",
            "topic.timestamp.before.max=7 days",
        ] {
            settings.apply_assignment(assignment).unwrap();
        }
        let all = kafka_config(&settings);
        let found = |name: &str| all.iter().find(|setting| setting.name == name).unwrap();
        for setting in &all {
            let same = all.iter().filter(|other| other.name == setting.name);
            assert_eq!(same.count(), 1, "{}", setting.name);
            assert!(!setting.prose.is_empty(), "{}", setting.name);
            let set = matches!(
                setting.own,
                Some("topic.retention.time" | "message.max.bytes" | "topic.timestamp.before.max")
            );
            assert_eq!(
                setting.source == ConfigSource::StaticBroker,
                set,
                "{}",
                setting.name
            );
        }
        for setting in SETTINGS {
            found(setting.key);
        }
        assert_eq!(found("log.retention.ms").value, "-1");
        assert_eq!(found("connections.max.idle.ms").value, "600000");
        assert_eq!(found("message.max.bytes").value, "1048588");
        let distance = |side| {
            found(&format!("log.message.timestamp.{side}.max.ms"))
                .value
                .clone()
        };
        assert_eq!(
            (distance("before"), distance("after")),
            ("604800000".into(), "3600000".into())
        );
        let any = kafka_config(&Settings::default());
        let any = any
            .iter()
            .find(|s| s.name == "log.message.timestamp.before.max.ms")
            .unwrap();
        assert_eq!(any.value, i64::MAX.to_string());
        assert_eq!(found("log.segment.bytes").value, "268435456");
        assert_eq!(found("journal.bytes").value, "1 GiB");
    }
}
