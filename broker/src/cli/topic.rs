//! `leveret topic`: create, list, describe, alter, delete.

use leveret_broker::config;
use leveret_broker::shown::{Figures, Number, Partition, PartitionState, Setting, Topic};
use leveret_client::{
    ConfigSource, Level, NewTopic, PartitionDescription, TopicChanges, TopicDescription,
    TopicSetting,
};
use serde::Serialize;

use super::args::{LevelArg, QueryArgs, TopicAlterArgs, TopicArgs, TopicCommand, TopicCreateArgs};
use super::failure::Failure;
use super::output::{Table, counted, print, print_json, size, span};
use super::remote::{about_topic, connect};

/// The end of `--help` where topics are given settings: which there are.
pub(super) fn long_help(examples: &str) -> String {
    let settings = config::topic_plain_list(96);
    format!("{examples}\n\nSettings of a topic that have an effect:\n{settings}")
}

pub(super) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(args) => create(args).await,
        TopicCommand::List(query) => list(query).await,
        TopicCommand::Describe(args) => describe(args).await,
        TopicCommand::Alter(args) => alter(args).await,
        TopicCommand::Delete(args) => delete(args).await,
    }
}

/// A topic as `create`, `list`, `alter` and `delete` print it.
#[derive(Debug, Serialize)]
struct Named<'a> {
    name: &'a str,
    topic_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
}

/// A topic in full, as `describe` and `leveret status` show it.
pub(super) fn described(topic: TopicDescription) -> Topic {
    let figures = |index: usize| {
        let figures = topic.figures.iter();
        let count = |(key, counts): &(String, Vec<u64>)| {
            let count = counts.get(index)?;
            Some((key.clone(), Number::Count(*count)))
        };
        Figures(figures.filter_map(count).collect())
    };
    let partition = |(index, partition): (usize, &PartitionDescription)| Partition {
        partition: partition.partition.0,
        core: partition.core,
        start_offset: partition.start_offset.0,
        high_watermark: partition.high_watermark.0,
        size_bytes: partition.size_bytes,
        figures: figures(index),
        stopped: partition.stopped,
        state: PartitionState::of(partition.stopped, partition.damaged),
    };
    let partitions = topic.partitions.iter().enumerate();
    Topic {
        partitions: partitions.map(partition).collect(),
        name: topic.name,
        topic_id: topic.topic_id.0,
        level: topic.level.name().to_owned(),
        retention_bytes: topic.retention_bytes,
        retention_ms: topic.retention_ms,
        records: 0,
        size_bytes: 0,
        config: topic.config.into_iter().map(setting).collect(),
    }
    .counted()
}

fn setting(setting: TopicSetting) -> Setting {
    Setting {
        key: setting.key,
        value: setting.value,
        source: match setting.source {
            ConfigSource::Topic => "topic",
            ConfigSource::Broker => "broker",
            ConfigSource::BuiltIn => "built-in",
        },
        default: setting.default_value,
        default_from: setting.default_from,
    }
}

/// Where a setting's value comes from, and what else it could be.
fn origin(setting: &Setting) -> String {
    match (setting.source, &setting.default_from) {
        ("topic", _) => format!("topic (default {})", setting.default),
        (_, Some(from)) => format!("default, broker's {from}"),
        _ => "default".to_owned(),
    }
}

/// The cells of a partition's row in a table of partitions.
pub(super) fn cells(partition: &Partition) -> Vec<String> {
    vec![
        partition.partition.to_string(),
        partition.core.to_string(),
        partition.start_offset.to_string(),
        partition.high_watermark.to_string(),
        partition.records().to_string(),
        size(partition.size_bytes),
        partition.state.name().to_owned(),
    ]
}

/// Headings for [`cells`].
pub(super) const PARTITION_HEADINGS: [&str; 7] = [
    "PARTITION",
    "CORE",
    "START",
    "END",
    "RECORDS",
    "SIZE",
    "STATE",
];

async fn create(args: TopicCreateArgs) -> Result<(), Failure> {
    let TopicArgs { name, query } = args.topic;
    let mut new = NewTopic::new(&name, args.partitions);
    new.level = args.level.map(LevelArg::level);
    new.retention_bytes = args.retention_bytes;
    new.retention_ms = args
        .retention_time
        .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    new.config = args.config;
    let created = connect(&query.server)
        .await?
        .admin()
        .create_topic(&new)
        .await?;
    if query.json {
        let partitions = Some(created.partitions);
        return print_json(&Named {
            name: &name,
            topic_id: created.topic_id.0,
            partitions,
        });
    }
    let partitions = counted(u64::from(created.partitions), "partition");
    print(&format!("created topic {name} with {partitions}\n"))
}

async fn list(query: QueryArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct List<'a> {
        topics: Vec<Named<'a>>,
    }
    let topics = connect(&query.server).await?.admin().list_topics().await?;
    if query.json {
        let named = topics.iter().map(|topic| Named {
            name: &topic.name,
            topic_id: topic.topic_id.0,
            partitions: Some(topic.partitions),
        });
        return print_json(&List {
            topics: named.collect(),
        });
    }
    if topics.is_empty() {
        eprintln!("there are no topics yet; `leveret topic create NAME` makes one");
        return Ok(());
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS"]);
    for topic in topics {
        table.row(vec![topic.name, topic.partitions.to_string()]);
    }
    print(&table.text())
}

async fn describe(args: TopicArgs) -> Result<(), Failure> {
    let TopicArgs { name, query } = args;
    let admin = connect(&query.server).await?.admin();
    let found = admin.describe_topics(&[&name]).await;
    let topics = found.map_err(|error| about_topic(&name, &error))?;
    let Some(topic) = topics.into_iter().next().map(described) else {
        return Err(Failure::new(
            format!("the broker did not describe the topic `{name}`"),
            "see `leveret topic list` for the topics that there are",
        ));
    };
    if query.json {
        return print_json(&topic);
    }
    let bytes = topic
        .retention_bytes
        .map_or("all bytes".to_owned(), |bytes| {
            format!("{} per partition", size(bytes))
        });
    let time = topic
        .retention_ms
        .map_or("for ever".to_owned(), |ms| format!("for {}", span(ms)));
    let mut text = format!(
        "topic {}: {}, {}, keeps {bytes} {time}; {} in {}\n",
        topic.name,
        counted(topic.partitions.len() as u64, "partition"),
        topic.level,
        counted(topic.records, "record"),
        size(topic.size_bytes),
    );
    let mut table = Table::new(&PARTITION_HEADINGS);
    for partition in &topic.partitions {
        table.row(cells(partition));
    }
    text.push_str(&table.text());
    let mut table = Table::of_texts(&["SETTING", "VALUE", "SOURCE"]);
    for setting in &topic.config {
        let cells = [&setting.key, &setting.value, &origin(setting)];
        table.row(cells.map(String::clone).to_vec());
    }
    text.push('\n');
    text.push_str(&table.text());
    print(&text)
}

async fn alter(args: TopicAlterArgs) -> Result<(), Failure> {
    let TopicArgs { name, query } = args.topic;
    let changes = TopicChanges {
        set: args.set,
        unset: args.unset,
        partitions: args.partitions,
    };
    if changes == TopicChanges::default() {
        return Err(Failure::new(
            "nothing to alter",
            "give --set KEY=VALUE, --unset KEY or --partitions N",
        ));
    }
    let admin = connect(&query.server).await?.admin();
    let altered = admin.alter_topic(&name, &changes).await;
    let altered = altered.map_err(|error| about_topic(&name, &error))?;
    if query.json {
        return print_json(&Named {
            name: &name,
            topic_id: altered.topic_id.0,
            partitions: Some(altered.partitions),
        });
    }
    let partitions = counted(u64::from(altered.partitions), "partition");
    print(&format!("altered topic {name}; it has {partitions}\n"))
}

async fn delete(args: TopicArgs) -> Result<(), Failure> {
    let TopicArgs { name, query } = args;
    let admin = connect(&query.server).await?.admin();
    let deleted = admin.delete_topic(&name).await;
    let topic_id = deleted.map_err(|error| about_topic(&name, &error))?;
    if query.json {
        return print_json(&Named {
            name: &name,
            topic_id: topic_id.0,
            partitions: None,
        });
    }
    print(&format!("deleted topic {name} and its records\n"))
}

impl LevelArg {
    fn level(self) -> Level {
        match self {
            Self::Synced => Level::Synced,
            Self::Written => Level::Written,
            Self::Memory => Level::Memory,
        }
    }
}
