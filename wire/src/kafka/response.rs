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

/// One thing of the many that a response tells, which is put together line by line.
pub trait Line {
    /// Writes it in the writer's version.
    fn write(&self, w: &mut Writer<'_>);

    /// Appends it to `out` as it stands in a response of that API and version.
    ///
    /// # Panics
    /// If the version is not one of the API's.
    fn encode(&self, out: &mut BytesMut, api: ApiKey, version: i16) {
        self.write(&mut Writer::fields(out, api, version));
    }
}

/// Appends to `out` the frame of a response whose body is one array of [`Line`]s behind the time that a client shall be
/// quiet, which is 0. `count` elements are encoded already and take `len` bytes. Returns
/// how many bytes in front of the end of `out` they belong.
///
/// # Panics
/// If the version is not one of the API's, or the frame would pass 2 GiB.
pub fn encode_around(
    out: &mut BytesMut,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    count: usize,
    len: usize,
) -> usize {
    let mut w = Writer::begin(out, api, version, correlation_id);
    w.i32(0);
    w.array_len(count);
    w.finish_around(len, |w| w.no_tags())
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
