//! Values made of a test's random bytes: when those end, everything is zero, so that a failure
//! shrinks to a short one.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use leveret_wire::kafka::ErrorCode;
use uuid::Uuid;

const LETTERS: [&str; 6] = ["a", "Z", "_", ".", "ß", "犬"];

pub(crate) struct Source<'a> {
    bytes: &'a [u8],
    /// Whether to add what the broker's side reads over: unknown tagged fields, what only
    /// followers tell.
    noisy: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8], noisy: bool) -> Self {
        Self { bytes, noisy }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.bytes.split_first_chunk() {
            Some((chunk, rest)) => {
                self.bytes = rest;
                *chunk
            }
            None => [0; N],
        }
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.u8() % 2 == 1
    }

    pub(crate) fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        Uuid::from_bytes(self.take())
    }

    pub(crate) fn within(&mut self, from: i8, to: i8) -> i8 {
        from + (self.u8() % (to - from + 1) as u8) as i8
    }

    /// Mostly short; sometimes so long that the length takes two bytes in compact form.
    pub(crate) fn text(&mut self) -> StrBytes {
        let len = match self.u8() {
            250.. => 200,
            len => len % 12,
        };
        let letter = |_| LETTERS[usize::from(self.u8()) % LETTERS.len()];
        StrBytes::from_string((0..len).map(letter).collect())
    }

    pub(crate) fn topic(&mut self) -> TopicName {
        TopicName(self.text())
    }

    pub(crate) fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| value(self))
    }

    pub(crate) fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.u8() % 4).map(|_| value(self)).collect()
    }

    /// Mostly few; sometimes so many that the count takes two bytes in compact form.
    pub(crate) fn i32s(&mut self) -> Vec<i32> {
        let count = match self.u8() {
            250.. => 200,
            count => count % 4,
        };
        (0..count).map(|_| self.i32()).collect()
    }

    pub(crate) fn brokers(&mut self) -> Vec<BrokerId> {
        self.i32s().into_iter().map(BrokerId).collect()
    }

    pub(crate) fn blob(&mut self) -> Bytes {
        let len = usize::from(self.u8()) * usize::from(self.u8() % 8);
        (0..len).map(|i| i as u8).collect()
    }

    pub(crate) fn error(&mut self) -> i16 {
        let index = usize::from(self.u8()) % ErrorCode::ALL.len();
        ErrorCode::ALL[index].as_i16()
    }

    /// What is left to add where the reader reads over it.
    pub(crate) fn noise<T>(&mut self, noise: T, silence: T) -> T {
        if self.noisy { noise } else { silence }
    }

    /// Unknown tagged fields, where the version has any.
    pub(crate) fn tags(&mut self, flexible: bool) -> BTreeMap<i32, Bytes> {
        if !self.noise(flexible, false) {
            return BTreeMap::new();
        }
        BTreeMap::from([
            (77, Bytes::from_static(b"unknown")),
            (100_000, Bytes::new()),
        ])
    }
}

pub(crate) fn error_code(number: i16) -> ErrorCode {
    let mut all = ErrorCode::ALL.iter();
    *all.find(|code| code.as_i16() == number)
        .expect("a code of the list")
}
