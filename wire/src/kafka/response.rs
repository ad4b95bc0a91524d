//! From a response to a frame.

use bytes::BytesMut;

use super::{ApiKey, Writer};

/// What answers a request of one API.
pub trait Response {
    /// The API that it answers.
    const API: ApiKey;

    /// Writes the body in the writer's version.
    fn write(&self, writer: &mut Writer<'_>);
}

/// Appends a response frame to `out`, in the version of the request that it answers. Returns the
/// bytes appended.
///
/// # Panics
/// If the version is not one of the API's.
pub fn encode_response<R: Response>(
    out: &mut BytesMut,
    version: i16,
    correlation_id: i32,
    response: &R,
) -> usize {
    let mut writer = Writer::begin(out, R::API, version, correlation_id);
    response.write(&mut writer);
    writer.finish(0)
}
