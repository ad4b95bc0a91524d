//! FindCoordinator (10): which broker keeps a consumer group or a transaction.

use crate::kafka::{ApiKey, Array, DecodeError, ErrorCode, Reader, Response, Text, Writer};

/// First version that asks for several coordinators at once.
const MANY: i16 = 4;

/// Whose coordinators are wanted.
#[derive(Clone, Copy, Debug)]
pub struct FindCoordinatorRequest<'a> {
    /// Names of groups, transactions or share groups.
    pub keys: CoordinatorKeys<'a>,
    /// 0: groups; 1: transactions; 2: share groups. From version 1; 0 before.
    pub key_type: i8,
}

/// The names in a request.
#[derive(Clone, Copy, Debug)]
pub enum CoordinatorKeys<'a> {
    /// Up to version 3.
    One(&'a str),
    /// From version 4.
    Many(Array<'a, &'a str>),
}

impl<'a> FindCoordinatorRequest<'a> {
    pub(in crate::kafka) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = if version >= MANY {
            let key_type = reader.i8()?;
            Self {
                keys: CoordinatorKeys::Many(reader.array()?),
                key_type,
            }
        } else {
            Self {
                keys: CoordinatorKeys::One(reader.string()?),
                key_type: if version >= 1 { reader.i8()? } else { 0 },
            }
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// The coordinators.
#[derive(Clone, Debug)]
pub struct FindCoordinatorResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
    /// By key; exactly one up to version 3.
    pub coordinators: Vec<Coordinator<'a>>,
}

/// Which broker keeps a group or a transaction, or why none does.
#[derive(Clone, Debug)]
pub struct Coordinator<'a> {
    /// As it was asked for. From version 4.
    pub key: Text<'a>,
    /// The broker's number, or -1.
    pub node_id: i32,
    /// Where clients reach it.
    pub host: Text<'a>,
    /// Where clients reach it, or -1.
    pub port: i32,
    /// Whether there is one.
    pub error: ErrorCode,
    /// What to tell the user. From version 1.
    pub error_message: Option<Text<'a>>,
}

impl<'a> Coordinator<'a> {
    /// There is none for that key.
    #[must_use]
    pub const fn none(key: Text<'a>, error: ErrorCode, error_message: Option<Text<'a>>) -> Self {
        Self {
            key,
            node_id: -1,
            host: Text::Borrowed(""),
            port: -1,
            error,
            error_message,
        }
    }
}

impl Response for FindCoordinatorResponse<'_> {
    const API: ApiKey = ApiKey::FindCoordinator;

    /// # Panics
    /// If there is not exactly one coordinator in a version that has one.
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version >= MANY {
            w.array(&self.coordinators, |w, coordinator| {
                w.string(&coordinator.key);
                address(w, coordinator);
                w.error(coordinator.error);
                w.nullable_string(coordinator.error_message.as_deref());
                w.no_tags();
            });
        } else {
            let [coordinator] = &self.coordinators[..] else {
                panic!("version {version} tells of one coordinator");
            };
            w.error(coordinator.error);
            if version >= 1 {
                w.nullable_string(coordinator.error_message.as_deref());
            }
            address(w, coordinator);
        }
        w.no_tags();
    }
}

fn address(w: &mut Writer<'_>, coordinator: &Coordinator<'_>) {
    w.i32(coordinator.node_id);
    w.string(&coordinator.host);
    w.i32(coordinator.port);
}
