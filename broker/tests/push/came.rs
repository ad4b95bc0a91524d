//! Frames that came to a peer.

use leveret_record::batches;
use leveret_wire::native::{Kind, Push, Response};

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) kind: Kind,
    pub(crate) correlation: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    pub(crate) fn response(&self) -> Result<Response<'_>, String> {
        Response::decode(self.kind.as_u16(), &self.header).map_err(|error| error.to_string())
    }

    /// The push that it is.
    pub(crate) fn push(&self) -> Push {
        match self.response() {
            Ok(Response::Push(push)) => push,
            other => panic!("no push: {other:?}"),
        }
    }

    /// Offsets of the records in it.
    pub(crate) fn offsets(&self) -> Vec<i64> {
        let all = batches(&self.payload).flat_map(|batch| {
            let (header, _) = batch.expect("whole batches");
            header.base_offset..header.next_offset()
        });
        all.collect()
    }
}
