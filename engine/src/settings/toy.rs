//! A toy, for tests alone: the arguments of a queue, which a client gives it and a policy may give
//! instead. It shows that a kind of objects brings its declarations, which values go together, and
//! how its own types are stored; nothing of this machinery is touched.

use std::sync::Arc;

use super::*;
use crate::codec::{Reader, Writer};

/// What becomes of a message for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    DropHead,
    RejectPublish,
}

impl Held for Overflow {
    fn stored(&self) -> StoredValue {
        StoredValue::Number(i64::from(*self == Self::RejectPublish))
    }

    fn of(value: &StoredValue) -> Self {
        match value.number() {
            0 => Self::DropHead,
            _ => Self::RejectPublish,
        }
    }
}

/// The name of an exchange, or none.
impl Held for Option<Arc<str>> {
    fn stored(&self) -> StoredValue {
        StoredValue::Text(self.clone().unwrap_or_default())
    }

    fn of(value: &StoredValue) -> Self {
        match value {
            StoredValue::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }
}

const NAME: ValueForm = ValueForm::Text {
    looks: "the name of an exchange",
    fits: |text| text.len() < 256,
};

declare! {
    keys QueueKey;

    #[derive(Clone, Debug, PartialEq, Eq)]
    values QueueSettings {
        most_deliveries: u32 = 100;
    }

    list QUEUE_SETTINGS;

    DeadLetterExchange = 3 "x-dead-letter-exchange",
    dead_letter_exchange: Option<Arc<str>> = None => Declaration::new(
        NAME,
        DefaultValue::Fixed(""),
        "Where messages go that are rejected or expire.",
    )
    .or_called(&["dead-letter-exchange"]);

    DeliveryLimit = 4 "x-delivery-limit",
    delivery_limit: u32 = 20 => Declaration::new(
        ValueForm::number(1, 1000),
        DefaultValue::Broker("queue.delivery.limit"),
        "How often a message is delivered before it is given up.",
    )
    .typed(ValueType::Int)
    .or_called(&["delivery-limit"])
    .refusing(|text, defaults: &QueueSettings| {
        let asked = text.parse::<u32>().ok()?;
        let most = defaults.most_deliveries;
        (asked > most).then(|| format!("the broker delivers {most} times at most"))
    });

    Mode = 5 "x-queue-mode", => Declaration::new(
        ValueForm::Words(&["default", "lazy"]),
        DefaultValue::Fixed("default"),
        "Without effect. Whether messages are kept on disk alone.",
    )
    .or_called(&["queue-mode"]);

    Overflows = 1 "x-overflow",
    overflow: Overflow = Overflow::DropHead => Declaration::new(
        ValueForm::Words(&["drop-head", "reject-publish"]),
        DefaultValue::Fixed("drop-head"),
        "What becomes of a message for which there is no room.",
    )
    .or_called(&["overflow"]);

    Ttl = 2 "x-message-ttl",
    ttl_ms: Option<u64> = None => Declaration::new(
        ValueForm::limit(i64::MAX),
        DefaultValue::Broker("queue.message.ttl"),
        "How long a message may wait, milliseconds.",
    )
    .or_called(&["message-ttl"]);
}

impl Values for QueueSettings {
    type Key = QueueKey;

    const CALLED: &'static str = "queue argument";

    fn declared() -> &'static [Setting<Self>] {
        QUEUE_SETTINGS
    }

    fn fit(choices: &Choices<Self>) -> Result<(), InvalidConfig> {
        let rejects = choices.get(QueueKey::Overflows) == Some(&StoredValue::Number(1));
        let setting = Setting::<Self>::of(QueueKey::DeadLetterExchange);
        match choices.get(setting.key) {
            Some(StoredValue::Text(name)) if rejects => {
                let reason = "what is rejected goes back to its publisher".to_owned();
                Err(InvalidConfig::bad(setting, name, reason))
            }
            _ => Ok(()),
        }
    }

    fn bound(&mut self, defaults: &Self) {
        self.delivery_limit = self.delivery_limit.min(defaults.most_deliveries);
    }
}

fn set(pairs: &[(&str, &str)]) -> Result<Choices<QueueSettings>, InvalidConfig> {
    Choices::default().changed(pairs, &[], &QueueSettings::default())
}

#[test]
fn a_toy_set_is_parsed_under_both_its_names_and_is_in_force() {
    // A client's arguments, and the policy that says the same.
    let argued = set(&[
        ("x-message-ttl", "60000"),
        ("x-overflow", "drop-head"),
        ("x-dead-letter-exchange", "dead"),
        ("x-queue-mode", "lazy"),
    ]);
    let policy = set(&[
        ("message-ttl", "60000"),
        ("overflow", "drop-head"),
        ("dead-letter-exchange", "dead"),
        ("queue-mode", "lazy"),
    ]);
    let argued = argued.unwrap();
    assert_eq!(Ok(&argued), policy.as_ref());
    let expected = QueueSettings {
        ttl_ms: Some(60_000),
        dead_letter_exchange: Some("dead".into()),
        ..QueueSettings::default()
    };
    assert_eq!(argued.over(&QueueSettings::default()), expected);
    let rejecting = set(&[("overflow", "reject-publish")]).unwrap();
    let rejecting = rejecting.over(&QueueSettings::default());
    assert_eq!(rejecting.overflow, Overflow::RejectPublish);
    let unset = argued.changed(&[], &["message-ttl"], &expected).unwrap();
    assert_eq!(unset.over(&QueueSettings::default()).ttl_ms, None);
}

#[test]
fn what_a_toy_set_does_not_have_is_refused_in_its_own_words() {
    for (pairs, words) in [
        (
            &[("x-max-length", "1")][..],
            "there is no queue argument `x-max-length`",
        ),
        (&[("x-max-length", "1")], "x-message-ttl"),
        (
            &[("x-message-ttl", "soon")],
            "it must be a number from 0 to 9223372036854775807, or -1",
        ),
        (
            &[("overflow", "drop")],
            "the queue argument `x-overflow` cannot be `drop`",
        ),
        (
            &[("overflow", "drop")],
            "it must be one of drop-head, reject-publish",
        ),
        (
            &[("x-message-ttl", "1"), ("message-ttl", "2")],
            "`x-message-ttl` is named twice",
        ),
        (
            &[("x-delivery-limit", "101")],
            "the broker delivers 100 times at most",
        ),
        (&[("x-delivery-limit", "0")], "1 to 1000"),
        (
            &[
                ("overflow", "reject-publish"),
                ("x-dead-letter-exchange", "dead"),
            ],
            "what is rejected goes back to its publisher",
        ),
    ] {
        let said = set(pairs).unwrap_err().to_string();
        assert!(said.contains(words), "{pairs:?}: {said}");
    }
    let many = set(&[("delivery-limit", "90")]).unwrap();
    let lowered = QueueSettings {
        most_deliveries: 50,
        ..QueueSettings::default()
    };
    assert_eq!(many.over(&lowered).delivery_limit, 50);
}

#[test]
fn a_toy_set_is_stored_and_described() {
    let own = set(&[
        ("x-message-ttl", "5"),
        ("dead-letter-exchange", "dead"),
        ("queue-mode", "lazy"),
    ]);
    let own = own.unwrap();
    let mut writer = Writer::new(99, 1, own.bytes());
    own.put(&mut writer);
    let bytes = writer.seal();
    let (_, _, mut reader) = Reader::open(&bytes).unwrap();
    assert_eq!(Choices::read(&mut reader), Ok(own.clone()));
    let defaults = QueueSettings {
        delivery_limit: 7,
        ..QueueSettings::default()
    };
    let entries = own.entries(&defaults);
    let line = |name: &str| {
        let found = entries.iter().find(|entry| entry.setting.is_called(name));
        let entry = found.expect(name);
        (entry.value.as_str(), entry.source, entry.default.as_str())
    };
    assert_eq!(line("message-ttl"), ("5", ConfigSource::Own, "-1"));
    assert_eq!(line("queue-mode"), ("lazy", ConfigSource::Own, "default"));
    assert_eq!(
        line("x-dead-letter-exchange"),
        ("dead", ConfigSource::Own, "")
    );
    let limit = ConfigSource::Broker("queue.delivery.limit");
    assert_eq!(line("x-delivery-limit"), ("7", limit, "7"));
    assert_eq!(
        line("overflow"),
        ("drop-head", ConfigSource::BuiltIn, "drop-head")
    );
    let typed = |key| Setting::<QueueSettings>::of(key).typed;
    assert_eq!(typed(QueueKey::DeliveryLimit), ValueType::Int);
    assert_eq!(typed(QueueKey::Ttl), ValueType::Long);
    let table = markdown_table::<QueueSettings>();
    let row = "| `x-delivery-limit`, or `delivery-limit` | the broker's `queue.delivery.limit` | 1 to 1000 | How often";
    assert!(table.contains(row), "{table}");
    let effects = QUEUE_SETTINGS.iter().filter(|setting| setting.has_effect());
    assert_eq!(effects.count(), QUEUE_SETTINGS.len() - 1);
}
