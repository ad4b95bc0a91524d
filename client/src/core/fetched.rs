//! What a fetch brought, cut apart by partition.

use bytes::Bytes;
use leveret_wire::native::{FetchedPartition, Response};

use super::Frame;
use crate::{Error, Result};

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// Each partition asked for, in that order, with its record batches back to back.
    pub partitions: Vec<(FetchedPartition, Bytes)>,
}

impl Fetched {
    /// Reads a `FetchOk`; the payload is shared, not copied.
    ///
    /// # Errors
    /// What the broker says instead, or [`Error::Protocol`] if slices and payload do not fit.
    pub fn decode(frame: &Frame) -> Result<Self> {
        let Response::Fetch(response) = frame.response()? else {
            return Err(Error::protocol("a fetch was answered otherwise"));
        };
        let mut payload = frame.payload.clone();
        let mut partitions = Vec::with_capacity(response.partitions.len());
        for partition in response.partitions.iter() {
            let len = partition.payload_len as usize;
            if len > payload.len() {
                return Err(Error::protocol("a fetch promises more bytes than it has"));
            }
            partitions.push((partition, payload.split_to(len)));
        }
        if payload.is_empty() {
            Ok(Self { partitions })
        } else {
            Err(Error::protocol("a fetch has bytes of no partition"))
        }
    }
}
