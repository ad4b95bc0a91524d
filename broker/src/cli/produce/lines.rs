//! Standard input as lines, read by a thread of its own: reading may block for as long as a person
//! thinks, and the event loop must not.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// Bytes asked of standard input at a time.
const READ: usize = 256 * 1024;
/// Chunks of lines that may wait for the event loop.
const CHUNKS_AHEAD: usize = 4;
/// A line longer than this is refused before all of it is read: no broker takes it.
const LONGEST_LINE: usize = 128 << 20;

/// The lines that one read completed, in order, without their line feeds.
pub(super) type Chunk = io::Result<Vec<Bytes>>;

/// Starts reading; the channel ends with the input. After an error nothing follows.
pub(super) fn read_in_background(input: impl Read + Send + 'static) -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let mut lines = Lines::new(input);
        while let Some(chunk) = lines.next_chunk().transpose() {
            let failed = chunk.is_err();
            // A closed channel means that the command has ended.
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

struct Lines<R> {
    input: R,
    /// What was read and has no line feed yet.
    rest: BytesMut,
    ended: bool,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            rest: BytesMut::new(),
            ended: false,
        }
    }

    /// At least one line; `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<Vec<Bytes>>> {
        while !self.ended {
            let searched = self.rest.len();
            self.rest.resize(searched + READ, 0);
            let read = self.read_once(searched);
            self.rest.truncate(searched + read.as_ref().unwrap_or(&0));
            if read? == 0 {
                self.ended = true;
                let last = self.rest.split().freeze();
                return Ok((!last.is_empty()).then(|| vec![last]));
            }
            let lines = self.split(searched);
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            if self.rest.len() > LONGEST_LINE {
                let what = format!("a line is longer than {LONGEST_LINE} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(None)
    }

    fn read_once(&mut self, at: usize) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.rest[at..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Takes all complete lines; the first `searched` bytes are known to have no line feed.
    fn split(&mut self, searched: usize) -> Vec<Bytes> {
        let new = &self.rest[searched..];
        let Some(last) = new.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole = self.rest.split_to(searched + last + 1).freeze();
        let mut lines = Vec::new();
        let mut begin = 0;
        let feeds = whole
            .iter()
            .enumerate()
            .skip(searched)
            .filter(|(_, byte)| **byte == b'\n');
        for (end, _) in feeds {
            lines.push(whole.slice(begin..end));
            begin = end + 1;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes a few at a time, as a pipe may.
    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(out.len());
            out[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }

    fn all(input: &[u8], step: usize) -> Vec<Bytes> {
        let mut lines = Lines::new(Trickle(input.to_vec(), step));
        let mut all = Vec::new();
        while let Some(chunk) = lines.next_chunk().expect("reading from memory") {
            assert!(!chunk.is_empty());
            all.extend(chunk);
        }
        all
    }

    #[test]
    fn a_line_is_what_stands_before_a_line_feed() {
        let input = b"one\n\ntwo\r\n\xff\xfe\nlast";
        let expected: [&[u8]; 5] = [b"one", b"", b"two\r", b"\xff\xfe", b"last"];
        for step in [1, 2, 3, 1000] {
            assert_eq!(all(input, step), expected, "{step} bytes at a time");
        }
        assert_eq!(all(b"\n", 1), [Bytes::new()]);
        assert!(all(b"", 1).is_empty());
        assert_eq!(all(b"a\n", 9), ["a"], "a final line feed begins no line");
    }

    #[test]
    fn an_error_of_the_input_is_given_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        assert!(Lines::new(Broken).next_chunk().is_err());
    }
}
