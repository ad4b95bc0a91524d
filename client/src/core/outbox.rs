//! Bytes that wait to be written: frames one behind the other, in as few pieces as pays.
//!
//! Refuses to: know what a frame is, or write.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// What a connection has queued.
#[derive(Debug)]
pub struct Outbox {
    /// Headers and small payloads behind the last chunk.
    tail: BytesMut,
    chunks: VecDeque<Bytes>,
    len: usize,
    max_len: usize,
    copy_len: usize,
}

impl Outbox {
    /// An empty one for `max_len` bytes, or one longer frame. Payloads up to `copy_len` bytes are
    /// copied beside their header, longer ones are pieces of their own.
    #[must_use]
    pub fn new(max_len: usize, copy_len: usize) -> Self {
        Self {
            tail: BytesMut::new(),
            chunks: VecDeque::new(),
            len: 0,
            max_len,
            copy_len,
        }
    }

    /// Whether a payload of that length may be queued now.
    #[must_use]
    pub fn has_room(&self, payload_len: usize) -> bool {
        self.len == 0 || self.len + payload_len <= self.max_len
    }

    /// Queues what `encode` appends and the payload behind it.
    pub fn push<T>(&mut self, payload: &Bytes, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        let before = self.tail.len();
        let encoded = encode(&mut self.tail);
        self.len += self.tail.len() - before + payload.len();
        if payload.len() <= self.copy_len {
            self.tail.extend_from_slice(payload);
        } else {
            self.flush_tail();
            self.chunks.push_back(payload.clone());
        }
        encoded
    }

    /// Moves all of it to the end of `chunks`.
    pub fn take(&mut self, chunks: &mut VecDeque<Bytes>) {
        self.flush_tail();
        chunks.append(&mut self.chunks);
        self.len = 0;
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.take(&mut VecDeque::new());
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }
}

/// Takes the first `written` bytes off.
///
/// # Panics
/// If there are not as many.
pub fn drop_written(chunks: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = chunks.front_mut() {
        if first.len() > written {
            first.advance(written);
            return;
        }
        written -= first.len();
        chunks.pop_front();
    }
    assert_eq!(written, 0, "more was written than there was");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &mut Outbox, header: &'static [u8], payload: &'static [u8]) {
        let payload = Bytes::from_static(payload);
        outbox.push(&payload, |out| out.extend_from_slice(header));
    }

    #[test]
    fn small_payloads_are_copied_and_order_is_kept() {
        let mut outbox = Outbox::new(100, 2);
        for (header, payload) in [
            (&b"h1"[..], &b"p1"[..]),
            (b"h2", b""),
            (b"h3", b"long"),
            (b"h4", b"p4"),
        ] {
            push(&mut outbox, header, payload);
        }
        let mut chunks = VecDeque::from([Bytes::from_static(b"before")]);
        outbox.take(&mut chunks);
        assert_eq!(chunks, [&b"before"[..], b"h1p1h2h3", b"long", b"h4p4"]);
        outbox.take(&mut chunks);
        assert_eq!(chunks.len(), 4, "it was emptied");
    }

    #[test]
    fn the_bound_holds_for_all_but_a_longer_one_alone() {
        let mut outbox = Outbox::new(10, 2);
        assert!(outbox.has_room(100));
        push(&mut outbox, b"head", b"1234");
        assert!(outbox.has_room(2));
        assert!(!outbox.has_room(3));
        outbox.clear();
        assert!(outbox.has_room(100));
        let mut chunks = VecDeque::new();
        outbox.take(&mut chunks);
        assert!(chunks.is_empty());
    }

    #[test]
    fn what_was_written_goes_and_the_rest_stays() {
        let mut chunks: VecDeque<Bytes> =
            [&b"abc"[..], b"de", b"fgh"].map(Bytes::from_static).into();
        drop_written(&mut chunks, 4);
        assert_eq!(chunks, [&b"e"[..], b"fgh"]);
        drop_written(&mut chunks, 1);
        assert_eq!(chunks, [&b"fgh"[..]]);
        drop_written(&mut chunks, 3);
        assert!(chunks.is_empty());
    }
}
