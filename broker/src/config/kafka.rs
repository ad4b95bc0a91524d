//! The configuration as Kafka's tools know it: what has a name of Kafka's by that name and in
//! its form, then every setting by our own.

use leveret_wire::kafka::{ConfigSource, ConfigType};

use super::settings::{SETTINGS, Setting, Settings};
use crate::core::BrokerSetting;

/// What Kafka calls a setting of ours, and in which form its tools read the value: sizes in bytes, times in
/// milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct KafkaName {
    name: &'static str,
    typed: ConfigType,
    /// What stands for "none" there.
    none: Option<&'static str>,
}

impl KafkaName {
    pub(super) const fn new(name: &'static str, typed: ConfigType) -> Self {
        Self {
            name,
            typed,
            none: None,
        }
    }

    pub(super) const fn none(self, none: &'static str) -> Self {
        Self {
            none: Some(none),
            ..self
        }
    }

    fn value(self, setting: &Setting, settings: &Settings) -> String {
        let number = (setting.magnitude)(settings).map(|number| number.to_string());
        let value = number.or(self.none.map(str::to_owned));
        value.unwrap_or_else(|| (setting.shown)(settings))
    }
}

/// What DescribeConfigs tells of the broker.
#[must_use]
pub fn kafka_config(settings: &Settings) -> Vec<BrokerSetting> {
    let told = |setting: &Setting, name, value, config_type| BrokerSetting {
        name,
        own: Some(setting.key),
        value,
        config_type,
        source: match settings.configured.contains(setting.key) {
            true => ConfigSource::StaticBroker,
            false => ConfigSource::Default,
        },
        prose: setting.prose,
    };
    let theirs = SETTINGS.iter().filter_map(|setting| {
        let kafka = setting.kafka?;
        let value = kafka.value(setting, settings);
        Some(told(setting, kafka.name, value, kafka.typed))
    });
    let fixed = FIXED
        .iter()
        .map(|&(name, value, config_type, prose)| BrokerSetting {
            name,
            own: None,
            value: value.to_owned(),
            config_type,
            source: ConfigSource::Default,
            prose,
        });
    let is_told = |setting: &Setting| setting.kafka.is_some_and(|kafka| kafka.name == setting.key);
    let ours = SETTINGS.iter().filter(|setting| !is_told(setting));
    let ours = ours.map(|setting| {
        let value = (setting.shown)(settings);
        told(setting, setting.key, value, ConfigType::String)
    });
    theirs.chain(fixed).chain(ours).collect()
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
    use leveret_engine::settings::DefaultValue;
    use leveret_engine::topology::TOPIC_SETTINGS;

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
            let told = found(setting.key);
            assert_eq!(told.own, Some(setting.key));
            if let Some(kafka) = setting.kafka {
                let theirs = found(kafka.name);
                assert_eq!((theirs.own, theirs.prose), (told.own, told.prose));
            }
        }
        // A topic's default is a setting that there is.
        for setting in TOPIC_SETTINGS {
            if let DefaultValue::Broker(own) = setting.default {
                assert_eq!(found(own).own, Some(own), "{}", setting.name);
            }
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
