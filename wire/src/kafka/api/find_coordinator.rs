//! FindCoordinator (10): tells which node a group, or a transaction, is to be asked of.

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, ErrorCode, Reader, Response, Text, VersionRange, Writer,
};

/// What is looked for. Other numbers than these stand for things that only Kafka has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorType(pub i8);

impl CoordinatorType {
    /// Who decides about a group.
    pub const GROUP: Self = Self(0);
    /// Who decides about a transaction.
    pub const TRANSACTION: Self = Self(1);
    /// Who keeps the state of a share group.
    pub const SHARE: Self = Self(2);
}

/// Whose coordinators are looked for.
#[derive(Clone, Copy, Debug)]
pub struct FindCoordinatorRequest<'a> {
    /// What they decide about. From version 1; groups before.
    pub coordinator_type: CoordinatorType,
    /// Whose.
    pub keys: CoordinatorKeys<'a>,
}

/// Names of groups, or of transactions: one in old versions, several from version 4.
#[derive(Clone, Copy, Debug)]
pub enum CoordinatorKeys<'a> {
    /// This one.
    One(&'a str),
    /// These.
    Several(Array<'a, &'a str>),
}

impl<'a> ApiRequest<'a> for FindCoordinatorRequest<'a> {
    const KEY: i16 = 10;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };
    const FIRST_FLEXIBLE: i16 = 3;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        // The one name stands in front of the type, several behind it.
        let one = if version < 4 {
            Some(reader.string()?)
        } else {
            None
        };
        let coordinator_type = match version {
            1.. => CoordinatorType(reader.i8()?),
            _ => CoordinatorType::GROUP,
        };
        let keys = match one {
            Some(key) => CoordinatorKeys::One(key),
            None => CoordinatorKeys::Several(reader.array()?),
        };
        reader.skip_tags()?;
        Ok(Self {
            coordinator_type,
            keys,
        })
    }
}

/// Who is to be asked: of one name in old versions, of as many as were asked for from version 4.
#[derive(Clone, Debug)]
pub struct FindCoordinatorResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
    /// Of each name, in the order of the request.
    pub coordinators: Vec<Coordinator<'a>>,
}

/// Who is to be asked.
#[derive(Clone, Debug)]
pub struct Coordinator<'a> {
    /// Of which name. From version 4.
    pub key: Text<'a>,
    /// The node, or -1.
    pub node_id: i32,
    /// Its host.
    pub host: Text<'a>,
    /// Its port, or -1.
    pub port: i32,
    /// Whether there is one.
    pub error: ErrorCode,
    /// What to tell the user. From version 1.
    pub error_message: Option<Text<'a>>,
}

impl Response for FindCoordinatorResponse<'_> {
    const API: ApiKey = ApiKey::FindCoordinator;

    /// # Panics
    /// If a version that tells of one coordinator is to tell of none or several.
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version >= 4 {
            w.array(&self.coordinators, |w, one| {
                w.string(&one.key);
                node(w, one);
                w.error(one.error);
                w.nullable_string(one.error_message.as_deref());
                w.no_tags();
            });
            return w.no_tags();
        }
        let [one] = &self.coordinators[..] else {
            panic!("version {version} tells of one coordinator");
        };
        w.error(one.error);
        if version >= 1 {
            w.nullable_string(one.error_message.as_deref());
        }
        node(w, one);
        w.no_tags();
    }
}

fn node(w: &mut Writer<'_>, one: &Coordinator<'_>) {
    w.i32(one.node_id);
    w.string(&one.host);
    w.i32(one.port);
}
