//! What Kafka clients are told of the broker, of its configuration and of its surroundings.

use std::sync::Arc;

use leveret_engine::settings::ConfigSource as Source;
use leveret_storage::types::CoreId;
use leveret_wire::kafka::{ConfigSource, ConfigType};

/// One broker as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaBroker {
    /// The number that it goes by.
    pub node: i32,
    /// Where they reach it.
    pub host: String,
    /// Where they reach it.
    pub port: u16,
}

/// One setting of the broker as Kafka's tools are told it.
#[derive(Clone, Debug)]
pub struct BrokerSetting {
    /// What they call it.
    pub name: &'static str,
    /// The declared setting that it is; `None` for what cannot be set.
    pub own: Option<&'static str>,
    /// Its value.
    pub value: String,
    /// How the value is to be read.
    pub config_type: ConfigType,
    /// Whether somebody set it.
    pub source: ConfigSource,
    /// What it does.
    pub prose: &'static str,
}

/// What a core needs to know to serve Kafka clients.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The brokers to present: a single one that stands for all cores, or one for each core.
    pub brokers: Arc<[KafkaBroker]>,
    /// Whether asking for a topic makes it.
    pub auto_create: bool,
    /// Topics beyond which asking makes none.
    pub auto_create_limit: u32,
    /// Partitions of a topic whose creator does not say how many.
    pub partitions: u32,
    /// Longest request, bytes, its length prefix not counted.
    pub request_bytes: u32,
    /// The broker's configuration. Where Kafka has a name for a setting, that stands before ours.
    pub config: Arc<[BrokerSetting]>,
}

impl KafkaSettings {
    /// The broker that presents itself as the owner of what lives on that core.
    pub(super) fn broker_of(&self, core: CoreId) -> &KafkaBroker {
        match &self.brokers[..] {
            [all] => all,
            each => &each[usize::from(core.0)],
        }
    }

    /// Where the value of a topic's setting comes from, in Kafka's words.
    pub(super) fn source_of(&self, source: Source) -> ConfigSource {
        match source {
            Source::Own => ConfigSource::Topic,
            Source::Broker(own) => self.name_and_source(own).1,
            Source::BuiltIn => ConfigSource::Default,
        }
    }

    /// What Kafka calls a setting of the broker, and whether somebody set it.
    pub(super) fn name_and_source(&self, own: &'static str) -> (&'static str, ConfigSource) {
        let found = self.config.iter().find(|setting| setting.own == Some(own));
        found.map_or((own, ConfigSource::Default), |setting| {
            (setting.name, setting.source)
        })
    }

    /// Every broker's number.
    pub(super) fn nodes(&self) -> impl Iterator<Item = i32> + '_ {
        self.brokers.iter().map(|broker| broker.node)
    }
}
