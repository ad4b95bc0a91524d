use std::collections::BTreeSet;
use std::time::Duration;

use leveret_storage::types::Level;

use super::*;

fn after(text: &str) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    settings.apply_toml(text).map(|()| settings)
}

#[test]
fn declarations_are_sound() {
    let defaults = Settings::default();
    let mut keys = BTreeSet::new();
    for setting in SETTINGS {
        assert!(
            keys.insert(setting.key),
            "{} is declared twice",
            setting.key
        );
        assert_eq!(setting.key.replace('.', "_"), setting.field);
        assert!(
            setting.prose.ends_with('.'),
            "{}: prose is sentences",
            setting.key
        );
        let mut settings = defaults.clone();
        (setting.assign)(&mut settings, setting.default).expect("the default is in bounds");
        assert_eq!(settings, defaults);
        assert_eq!((setting.shown)(&settings), setting.default);
    }
    for key in &keys {
        let table = format!("{key}.");
        assert!(
            !keys.iter().any(|other| other.starts_with(&table)),
            "{key} is also a table"
        );
    }
}

#[test]
fn tables_and_dotted_keys_are_the_same() {
    let dotted = after("message.max.bytes = 4096\nnative.listen = '[::1]:0'").expect("valid");
    let tables = after("[message.max]\nbytes = '4 KiB'\n[native]\nlisten = \"[::1]:0\"");
    assert_eq!(tables, Ok(dotted.clone()));
    assert_eq!(dotted.message_max_bytes, ByteSize(4096));
    assert_eq!(dotted.native_listen.port(), 0);
}

#[test]
fn every_form_is_read() {
    let text = "cores = 2\ncpus = [0, '2-3']\ntopic.level = 'written'\n\
                topic.retention.time = 'none'\nsegment.time = '90 min'\n\
                disk.require_direct = true\ntopic.retention.bytes = '2gib'";
    let settings = after(text).expect("valid");
    assert_eq!(settings.cores.map(std::num::NonZeroU16::get), Some(2));
    assert_eq!(settings.cpus, Some(CpuList(vec![0, 2, 3])));
    assert_eq!(settings.topic_level, Level::Written);
    assert_eq!(settings.topic_retention_time, None);
    assert_eq!(settings.segment_time, Duration::from_secs(5400));
    assert!(settings.disk_require_direct);
    assert_eq!(settings.topic_retention_bytes, Some(ByteSize(2 << 30)));
}

#[test]
fn what_is_shown_is_read_as_the_same() {
    let text = "cores = 3\ncpus = '0,2-3'\nhttp.listen = 'off'\nlog.format = 'json'\n\
                topic.retention.time = 'none'\nsegment.time = 5401001\nmessage.max.bytes = 1025\n\
                topic.retention.bytes = '3 TiB'\ndisk.floor.bytes = 0";
    let settings = after(text).expect("valid");
    let mut again = Settings::default();
    for setting in SETTINGS {
        let written = format!("{}={}", setting.key, (setting.shown)(&settings));
        again.apply_assignment(&written).expect("read again");
    }
    assert_eq!(again.configured.len(), SETTINGS.len());
    again.configured = settings.configured.clone();
    assert_eq!(again, settings);
}

#[test]
fn kafka_is_switched_off_or_advertised() {
    let settings = after("kafka.listen = 'off'\nkafka.advertise = '[::1]:9'").expect("valid");
    assert_eq!(settings.kafka_listen, Listen::Off);
    let (host, port) = ("::1".to_owned(), 9);
    assert_eq!(settings.kafka_advertise, Advertise::At { host, port });
    let settings = after("kafka.advertise = 'core'").expect("valid");
    assert_eq!(settings.kafka_advertise, Advertise::Core);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = after("mesage.max_bytes = 1").expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "unknown setting `mesage.max_bytes`; did you mean `message.max.bytes`?"
    );
    let error = after("[zookeeper]\nconnect = 'x'").expect_err("unknown");
    assert!(
        matches!(error, ConfigError::UnknownKey { nearest: None, .. }),
        "{error}"
    );
}

#[test]
fn a_value_out_of_bounds_or_form_says_what_is_right() {
    let error = after("message.max.bytes = '1 GiB'").expect_err("too large");
    let text = "`message.max.bytes` cannot be `1 GiB`: it must be from 1 KiB to 128 MiB";
    assert_eq!(error.to_string(), text);
    for (key, value) in [
        ("cores", "0"),
        ("cores", "65"),
        ("cpus", "'3-1'"),
        ("cpus", "'1,1'"),
        ("cpus", "'0-4000000000'"),
        ("native.listen", "'7654'"),
        ("kafka.listen", "'none'"),
        ("kafka.advertise", "'broker'"),
        ("kafka.advertise", "'a b:9092'"),
        ("kafka.advertise", "'0.0.0.0:9092'"),
        ("kafka.advertise", "'0:9092'"),
        ("kafka.advertise", "'[::]:9092'"),
        ("kafka.advertise", "'[0:0:0:0:0:0:0:0]:9092'"),
        ("kafka.advertise", "'[::ffff:0.0.0.0]:9092'"),
        ("log.filter", "'inof'"),
        ("log.filter", "'info,leveret_storage=debgu'"),
        ("log.filter", "'leveret_storage'"),
        ("log.filter", "'info,'"),
        ("log.filter", "''"),
        ("http.listen", "'none'"),
        ("log.format", "'xml'"),
        ("topic.level", "'fsync'"),
        ("segment.time", "'7 weeks'"),
        ("segment.bytes", "-1"),
        ("segment.bytes", "'99999999999999999999 TiB'"),
        ("disk.require_direct", "'yes'"),
        ("data", "''"),
    ] {
        let outcome = after(&format!("{key} = {value}"));
        let refused =
            matches!(&outcome, Err(ConfigError::BadValue { key: named, .. }) if *named == key);
        assert!(refused, "{key} = {value} gave {outcome:?}");
    }
    assert!(matches!(after("cores = "), Err(ConfigError::Syntax(_))));
}

#[test]
fn assignments_of_the_command_line_go_the_same_way() {
    let mut settings = Settings::default();
    settings
        .apply_assignment("journal.bytes = 64 MiB")
        .expect("valid");
    assert_eq!(settings.journal_bytes, ByteSize(64 << 20));
    assert!(matches!(
        settings.apply_assignment("journal.bytes"),
        Err(ConfigError::NotAnAssignment(_))
    ));
    assert!(settings.apply_assignment("journal=1").is_err());
}

#[test]
fn the_reference_names_every_setting() {
    for setting in SETTINGS {
        assert!(
            plain_list(100).contains(&format!("\n  {} = ", setting.key)) || setting.key == "data"
        );
        assert!(markdown_table().contains(&format!("| `{}` |", setting.key)));
    }
    let of_topics = topic_plain_list(100);
    assert!(of_topics.contains("\n  segment.bytes = the broker's segment.bytes   (1048576 to"));
    assert!(!of_topics.contains("preallocate"), "it has no effect");
}

#[test]
fn the_operations_page_has_the_table() {
    let page = include_str!("../../../docs/operations.md");
    let table = markdown_table();
    assert!(
        page.contains(&table),
        "docs/operations.md differs from the declarations; its table should be:\n{table}"
    );
    let table = topic_markdown_table();
    assert!(
        page.contains(&table),
        "docs/operations.md differs from the topic settings; their table should be:\n{table}"
    );
}
