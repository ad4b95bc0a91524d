//! What can be set for objects of a kind: topics now, and whatever else has settings, arguments or
//! policies. A setting is declared once, with name, form, bounds, default and prose. From that
//! follow how its values are read and stored, which value is in force, and how the setting is
//! described and documented.
//!
//! A kind names its settings with the macro `declare!`, which makes the struct of what is in force ([`Values`]) and
//! the enum of keys. An object stores only what was set for it ([`Choices`]), so that a changed default
//! reaches every object that did not choose otherwise.
//!
//! It refuses to know what any setting is for, and which protocol asks.

mod choices;
mod form;
#[cfg(test)]
#[allow(unreachable_pub)] // What is declared is public where it is no toy.
mod toy;

pub use choices::{Choices, ConfigSource, Entry, InvalidConfig};
pub use form::{StoredValue, ValueForm, ValueType};

/// The values in force for an object, one field for each setting that something comes of.
pub trait Values: Clone + Sized + 'static {
    /// Names a setting in what is stored.
    type Key: Copy + Ord + std::fmt::Debug + 'static;
    /// What one is called, as in "there is no topic setting".
    const CALLED: &'static str;

    /// Every setting, by name.
    fn declared() -> &'static [Setting<Self>];

    /// Whether an object's choices go together.
    ///
    /// # Errors
    /// [`InvalidConfig`] names one that does not.
    fn fit(_choices: &Choices<Self>) -> Result<(), InvalidConfig> {
        Ok(())
    }

    /// Brings values within what the broker bounds for all objects; it may have been lowered since they
    /// were chosen.
    fn bound(&mut self, _defaults: &Self) {}
}

/// One setting, as it was declared.
#[derive(Debug)]
pub struct Setting<V: Values> {
    /// Its key.
    pub key: V::Key,
    /// Its number in what is stored, never given to another setting.
    pub number: u16,
    /// Its dotted name.
    pub name: &'static str,
    /// What else it may be called.
    pub aliases: &'static [&'static str],
    /// What values look like.
    pub form: ValueForm,
    /// What programs that type their settings, as Kafka's do, take it for.
    pub typed: ValueType,
    /// What it is where nobody has set it.
    pub default: DefaultValue,
    /// What it does.
    pub prose: &'static str,
    /// Whether nobody else has such a setting; others' tools know those that are not ours.
    pub ours: bool,
    bearing: Bearing<V>,
    unkept: Option<Unkept<V>>,
}

/// What comes of a setting.
#[derive(Debug)]
enum Bearing<V> {
    /// A field of the values holds it.
    Field(Field<V>),
    /// There is one value, which is in force anyway.
    Fixed,
    /// Nothing: it is kept for the tools of others.
    Nothing,
}

/// Where the value in force is.
#[derive(Debug)]
pub(crate) struct Field<V> {
    pub(crate) get: fn(&V) -> StoredValue,
    /// Takes a value that the form admits.
    pub(crate) put: fn(&mut V, &StoredValue),
}

/// Why a text is refused that others would take: it promises what is not built, or more than the broker's
/// own values have.
type Unkept<V> = fn(&str, &V) -> Option<String>;

/// What a setting is where nobody has set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The value of this setting of the broker.
    Broker(&'static str),
    /// This text.
    Fixed(&'static str),
}

/// What is declared of a setting beside its key, its name and its field.
pub(crate) struct Declaration<V: Values> {
    form: ValueForm,
    typed: ValueType,
    default: DefaultValue,
    aliases: &'static [&'static str],
    unkept: Option<Unkept<V>>,
    fixed: bool,
    ours: bool,
    prose: &'static str,
}

impl<V: Values> Declaration<V> {
    pub(crate) const fn new(form: ValueForm, default: DefaultValue, prose: &'static str) -> Self {
        Self {
            typed: form.usual_type(),
            form,
            default,
            aliases: &[],
            unkept: None,
            fixed: false,
            ours: false,
            prose,
        }
    }

    /// Others type it so.
    pub(crate) const fn typed(self, typed: ValueType) -> Self {
        Self { typed, ..self }
    }

    /// It may be called otherwise.
    #[cfg(test)]
    pub(crate) const fn or_called(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Some texts are refused, whatever its form.
    pub(crate) const fn refusing(self, unkept: Unkept<V>) -> Self {
        Self {
            unkept: Some(unkept),
            ..self
        }
    }

    /// It has one value, which is in force without a field.
    pub(crate) const fn fixed(self) -> Self {
        Self {
            fixed: true,
            ..self
        }
    }

    /// Nobody else has such a setting.
    pub(crate) const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    pub(crate) const fn named(
        self,
        key: V::Key,
        number: u16,
        name: &'static str,
        field: Option<Field<V>>,
    ) -> Setting<V> {
        Setting {
            key,
            number,
            name,
            aliases: self.aliases,
            form: self.form,
            typed: self.typed,
            default: self.default,
            prose: self.prose,
            ours: self.ours,
            bearing: match (field, self.fixed) {
                (Some(field), _) => Bearing::Field(field),
                (None, true) => Bearing::Fixed,
                (None, false) => Bearing::Nothing,
            },
            unkept: self.unkept,
        }
    }
}

impl<V: Values> Setting<V> {
    /// The setting of that name.
    ///
    /// # Errors
    /// [`InvalidConfig::UnknownKey`].
    pub fn called(name: &str) -> Result<&'static Self, InvalidConfig> {
        let found = V::declared().iter().find(|setting| setting.is_called(name));
        found.ok_or_else(|| InvalidConfig::unknown::<V>(name))
    }

    /// The setting of that number.
    pub(crate) fn numbered(number: u16) -> Option<&'static Self> {
        V::declared()
            .iter()
            .find(|setting| setting.number == number)
    }

    /// The setting of that key.
    ///
    /// # Panics
    /// Never: every key is declared.
    #[must_use]
    pub fn of(key: V::Key) -> &'static Self {
        let found = V::declared().iter().find(|setting| setting.key == key);
        found.expect("every key is declared")
    }

    /// Whether that is its name, or what else it may be called.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether anything comes of it; else it is kept for the tools of others.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        !matches!(self.bearing, Bearing::Nothing)
    }

    /// The value in force, as it would be written, if a field holds it.
    fn in_force(&self, values: &V) -> Option<String> {
        match &self.bearing {
            Bearing::Field(field) => Some(self.form.text(&(field.get)(values))),
            Bearing::Fixed | Bearing::Nothing => None,
        }
    }

    /// A text as a value, held against form and bounds, and the broker's own values.
    fn parse(&self, text: &str, defaults: &V) -> Result<StoredValue, InvalidConfig> {
        if let Some(reason) = self.unkept.and_then(|unkept| unkept(text.trim(), defaults)) {
            return Err(InvalidConfig::bad(self, text, reason));
        }
        self.form.parse(text).ok_or_else(|| {
            let reason = format!("{} {}", self.form.kind(), self.form.bounds());
            InvalidConfig::bad(self, text, reason)
        })
    }
}

/// All settings of a kind as a table for people.
#[must_use]
pub fn markdown_table<V: Values>() -> String {
    let mut out =
        String::from("| setting | default | values | what it does |\n|---|---|---|---|\n");
    for setting in V::declared() {
        let Setting { name, prose, .. } = setting;
        let aliases = setting.aliases.iter();
        let aliases: String = aliases.map(|alias| format!(", or `{alias}`")).collect();
        let default = match setting.default {
            DefaultValue::Broker(from) => format!("the broker's `{from}`"),
            DefaultValue::Fixed("") => "none".to_owned(),
            DefaultValue::Fixed(text) => format!("`{text}`"),
        };
        let values = setting.form.bounds();
        let ours = if setting.ours { " (Leveret's own)" } else { "" };
        out.push_str(&format!(
            "| `{name}`{aliases}{ours} | {default} | {values} | {prose} |\n"
        ));
    }
    out
}

/// A type that the values in force may have.
pub(crate) trait Held {
    fn stored(&self) -> StoredValue;

    /// From a value that the setting's form admits.
    fn of(value: &StoredValue) -> Self;
}

/// Declares the settings of a kind of objects: their keys, the struct of what is in force, with what
/// that is where nobody says otherwise, and the list of them. An entry is a key with its number, a name, the
/// field that holds the value (none if there is nothing to hold), and the rest of the [`Declaration`].
macro_rules! declare {
    (
        $(#[$of_keys:meta])*
        keys $keys:ident;
        $(#[$of_values:meta])*
        values $values:ident {
            $($(#[$of_extra:meta])* $extra:ident: $extra_type:ty = $extra_value:expr;)*
        }
        $(#[$of_list:meta])*
        list $list:ident;
        $(
            $key:ident = $number:literal $name:literal,
            $($(#[$of_field:meta])* $field:ident: $type:ty = $value:expr)? => $declared:expr;
        )*
    ) => {
        $(#[$of_keys])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum $keys {
            $(#[doc = concat!("`", $name, "`")] $key = $number,)*
        }

        $(#[$of_values])*
        pub struct $values {
            $($($(#[$of_field])* pub $field: $type,)?)*
            $($(#[$of_extra])* pub $extra: $extra_type,)*
        }

        impl $values {
            /// What is in force where neither an object nor the broker says otherwise.
            pub const BUILT_IN: Self = Self {
                $($($field: $value,)?)*
                $($extra: $extra_value,)*
            };
        }

        impl Default for $values {
            fn default() -> Self {
                Self::BUILT_IN
            }
        }

        $(#[$of_list])*
        pub static $list: &[$crate::settings::Setting<$values>] = &[$(
            $declared.named(
                $keys::$key,
                $number,
                $name,
                $crate::settings::field!($values $($field $type)?),
            ),
        )*];
    };
}
pub(crate) use declare;

macro_rules! field {
    ($values:ident) => {
        None
    };
    ($values:ident $field:ident $type:ty) => {
        Some($crate::settings::Field {
            get: |values: &$values| $crate::settings::Held::stored(&values.$field),
            put: |values: &mut $values, value| {
                values.$field = <$type as $crate::settings::Held>::of(value);
            },
        })
    };
}
pub(crate) use field;
