//! Answers, in the versions that `encode` asks for. Every length is checked against what is there,
//! and nothing is allocated for a count before its elements have been read.

use bytes::Bytes;

use super::encode::Api;
use super::errors;
use crate::failure::Failure;

/// A range of versions of one API.
pub(super) struct Versions {
    pub(super) key: i16,
    pub(super) min: i16,
    pub(super) max: i16,
}

/// Reads one answer from its front to its end.
struct Reader<'a> {
    api: Api,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(api: Api, body: &'a [u8]) -> Self {
        Self { api, left: body }
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Failure> {
        match self.left.split_at_checked(len) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(self.broken("is shorter than it says")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let taken = self.bytes(N)?;
        Ok(taken.try_into().expect("that many were taken"))
    }

    fn i16(&mut self) -> Result<i16, Failure> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Failure> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Failure> {
        self.array().map(i64::from_be_bytes)
    }

    /// A length or a count; a null one is none.
    fn len(&mut self) -> Result<usize, Failure> {
        Ok(usize::try_from(self.i32()?).unwrap_or(0))
    }

    /// A string; a null one is empty.
    fn text(&mut self) -> Result<&'a [u8], Failure> {
        let len = usize::try_from(self.i16()?).unwrap_or(0);
        self.bytes(len)
    }

    fn end(&self) -> Result<(), Failure> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(self.broken("is longer than it says"))
    }

    fn broken(&self, how: &str) -> Failure {
        Failure::new(
            format!("the answer to {} {how}", self.api.name),
            "make sure that the address is that of a Kafka listener, of a broker that serves that version",
        )
    }

    fn check(&self, code: i16) -> Result<(), Failure> {
        errors::check(self.api.name, code)
    }
}

/// Whether a batch was appended.
pub(super) fn produced(api: Api, body: &[u8]) -> Result<(), Failure> {
    let mut read = Reader::new(api, body);
    let mut answers = 0;
    for _ in 0..read.len()? {
        read.text()?;
        for _ in 0..read.len()? {
            read.i32()?; // Partition: the only one that was sent.
            let code = read.i16()?;
            read.check(code)?;
            read.bytes(8 + 8 + 8)?; // Base offset, append time, start of the log.
            answers += 1;
        }
    }
    read.i32()?; // Throttle time.
    read.end()?;
    match answers {
        1 => Ok(()),
        _ => Err(read.broken("does not speak of exactly one batch")),
    }
}

/// Each partition's batches, which share the body's memory.
pub(super) fn fetched(api: Api, body: &Bytes) -> Result<Vec<(i32, Bytes)>, Failure> {
    let mut read = Reader::new(api, body);
    let mut brought = Vec::new();
    read.i32()?; // Throttle time.
    let code = read.i16()?;
    read.check(code)?;
    read.i32()?; // Session.
    for _ in 0..read.len()? {
        read.text()?;
        for _ in 0..read.len()? {
            let partition = read.i32()?;
            let code = read.i16()?;
            read.check(code)?;
            read.bytes(8 + 8 + 8)?; // High watermark, last stable offset, start of the log.
            for _ in 0..read.len()? {
                read.bytes(8 + 8)?; // An aborted transaction.
            }
            read.i32()?; // A replica that is nearer.
            let len = read.len()?;
            let batches = read.bytes(len)?;
            brought.push((partition, body.slice_ref(batches)));
        }
    }
    read.end()?;
    Ok(brought)
}

/// The offset asked for, or the code of why there is none.
pub(super) fn listed(api: Api, body: &[u8]) -> Result<Result<i64, i16>, Failure> {
    let mut read = Reader::new(api, body);
    let mut found = None;
    for _ in 0..read.len()? {
        read.text()?;
        for _ in 0..read.len()? {
            read.i32()?;
            let code = read.i16()?;
            read.i64()?; // Its record's timestamp, of which the end has none.
            let offset = read.i64()?;
            found = Some(if code == 0 { Ok(offset) } else { Err(code) });
        }
    }
    read.end()?;
    found.ok_or_else(|| read.broken("has no offset"))
}

/// Partitions of the topic; `None` while some have no leader or it is not there yet.
pub(super) fn partitions(api: Api, body: &[u8]) -> Result<Option<usize>, Failure> {
    let mut read = Reader::new(api, body);
    read.i32()?; // Throttle time.
    for _ in 0..read.len()? {
        read.i32()?;
        read.text()?;
        read.i32()?;
        read.text()?; // A broker: number, host, port, rack.
    }
    read.text()?; // Cluster.
    read.i32()?; // Controller.
    let mut found = None;
    for _ in 0..read.len()? {
        let code = read.i16()?;
        if !errors::passes(code) {
            read.check(code)?;
        }
        read.text()?;
        read.bytes(1)?; // Whether the broker made it for itself.
        let mut led = 0;
        let count = read.len()?;
        for _ in 0..count {
            let code = read.i16()?;
            read.bytes(4 + 4)?; // Partition, leader.
            for _ in 0..2 {
                // Replicas; those in sync.
                let numbers = read.len()?;
                read.bytes(numbers.saturating_mul(4))?;
            }
            led += usize::from(code == 0);
        }
        found = (code == 0 && count > 0 && led == count).then_some(count);
    }
    read.end()?;
    Ok(found)
}

/// What came of a topic that was to be created or deleted: the code, and the reason where the
/// broker tells one.
pub(super) fn topic_changed(
    api: Api,
    body: &[u8],
    tells_reason: bool,
) -> Result<(i16, String), Failure> {
    let mut read = Reader::new(api, body);
    read.i32()?; // Throttle time.
    let mut outcome = None;
    for _ in 0..read.len()? {
        read.text()?;
        let code = read.i16()?;
        let reason = if tells_reason { read.text()? } else { b"" };
        outcome = Some((code, String::from_utf8_lossy(reason).into_owned()));
    }
    read.end()?;
    outcome.ok_or_else(|| read.broken("speaks of no topic"))
}

/// All that the broker serves.
pub(super) fn versions(api: Api, body: &[u8]) -> Result<Vec<Versions>, Failure> {
    let mut read = Reader::new(api, body);
    let code = read.i16()?;
    read.check(code)?;
    let mut all = Vec::new();
    for _ in 0..read.len()? {
        all.push(Versions {
            key: read.i16()?,
            min: read.i16()?,
            max: read.i16()?,
        });
    }
    read.end()?;
    Ok(all)
}
