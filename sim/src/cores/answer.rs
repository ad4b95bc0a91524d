//! Answers to Kafka requests as they are read: only those fields that checks look at have a meaning here.

use super::kafka::PREFIX;

/// One partition of a fetch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its number.
    pub partition: i32,
    /// 0 is none.
    pub error: i16,
    /// The offset after the last that can be read.
    pub high_watermark: i64,
    /// Whole batches.
    pub records: Vec<u8>,
}

/// Reads the answer to [`super::kafka::fetch`].
///
/// # Panics
/// If it is none.
#[must_use]
pub fn fetched(answer: &[u8]) -> Vec<Fetched> {
    let mut answer = Answer::of(answer);
    answer.i32();
    let mut all = Vec::new();
    for _ in 0..answer.i32() {
        answer.string();
        for _ in 0..answer.i32() {
            let (partition, error) = (answer.i32(), answer.i16());
            let high_watermark = answer.i64();
            answer.i64();
            assert!(answer.i32() <= 0, "nothing was aborted");
            let len = usize::try_from(answer.i32()).unwrap_or(0);
            all.push(Fetched {
                partition,
                error,
                high_watermark,
                records: answer.take(len).to_vec(),
            });
        }
    }
    assert!(answer.0.is_empty(), "bytes behind the answer");
    all
}

/// One partition of a produce's answer: topic, partition, error and base offset.
pub type Produced = (Option<String>, i32, i16, i64);

/// Reads the answer to [`super::kafka::produce`].
#[must_use]
pub fn produced(answer: &[u8]) -> Vec<Produced> {
    let topics = Answer::of(answer).array(|answer| {
        let name = answer.string();
        answer.array(|answer| {
            let (index, error, base) = (answer.i32(), answer.i16(), answer.i64());
            let _times = (answer.i64(), answer.i64());
            (name.clone(), index, error, base)
        })
    });
    topics.concat()
}

/// The number of the request that an answer answers.
#[must_use]
pub fn number(answer: &[u8]) -> i32 {
    let number = answer[PREFIX..].first_chunk().expect("an answer has one");
    i32::from_be_bytes(*number)
}

/// Reads an answer that has a line for each name, of which some APIs have messages.
#[must_use]
pub fn named_errors(answer: &[u8], messages: bool) -> Vec<(Option<String>, i16)> {
    let mut answer = Answer::of(answer);
    answer.i32();
    answer.array(|answer| {
        let line = (answer.string(), answer.i16());
        if messages {
            answer.string();
        }
        line
    })
}

/// Partitions of the one topic that [`super::kafka::metadata`] asked for; `None` if there is no such
/// topic.
#[must_use]
pub fn partitions(answer: &[u8]) -> Option<usize> {
    let mut answer = Answer::of(answer);
    answer.array(|answer| (answer.i32(), answer.string(), answer.i32(), answer.string()));
    answer.i32();
    let topics = answer.array(|answer| {
        let error = answer.i16();
        let _ = (answer.string(), answer.i8());
        let partitions = answer.array(|answer| {
            let _ = (answer.i16(), answer.i32(), answer.i32());
            let _ = (answer.array(Answer::i32), answer.array(Answer::i32));
        });
        (error == 0).then_some(partitions.len())
    });
    topics[0]
}

/// A setting of the one topic that [`super::kafka::describe_configs`] asked for: its value, and where
/// that comes from, of which 1 is the topic and 5 the default. `None` if there is no such topic.
///
/// # Panics
/// If there is no such setting.
#[must_use]
pub fn setting(answer: &[u8], key: &str) -> Option<(Option<String>, i8)> {
    let mut answer = Answer::of(answer);
    let _ = (answer.i32(), answer.i32());
    let error = answer.i16();
    let _ = (answer.string(), answer.i8(), answer.string());
    let all = answer.array(|answer| {
        let (name, value) = (answer.string(), answer.string());
        let (_, source, _) = (answer.i8(), answer.i8(), answer.i8());
        answer.array(|answer| (answer.string(), answer.string(), answer.i8()));
        (name, value, source)
    });
    if error != 0 {
        return None;
    }
    let mut all = all.into_iter();
    let found = all.find(|(name, ..)| name.as_deref() == Some(key));
    let (_, value, source) = found.expect("a setting that is known");
    Some((value, source))
}

/// Cuts the answers that are whole off the front of what a peer has taken.
#[must_use]
pub fn answers(taken: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(prefix) = taken.first_chunk::<PREFIX>() {
        let len = usize::try_from(i32::from_be_bytes(*prefix)).expect("a length");
        if taken.len() < PREFIX + len {
            break;
        }
        let rest = taken.split_off(PREFIX + len);
        all.push(std::mem::replace(taken, rest));
    }
    all
}

/// What of an answer is not read yet. Reading beyond its end panics, which fails a check.
#[derive(Clone, Debug)]
pub struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    /// A frame behind its header, which has no tagged fields.
    #[must_use]
    pub fn of(frame: &'a [u8]) -> Self {
        Self(&frame[PREFIX + 4..])
    }

    /// Takes so many bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// Takes one byte.
    pub fn i8(&mut self) -> i8 {
        self.take(1)[0].cast_signed()
    }

    /// Takes two bytes.
    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    /// Takes four bytes.
    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    /// Takes eight bytes.
    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    /// Takes a string that may be null.
    pub fn string(&mut self) -> Option<String> {
        let len = usize::try_from(self.i16()).ok()?;
        let text = std::str::from_utf8(self.take(len)).expect("text");
        Some(text.to_owned())
    }

    /// Takes a string of a flexible version that may be null.
    pub fn compact_string(&mut self) -> Option<String> {
        let len = usize::try_from(self.i8()).expect("short").checked_sub(1)?;
        let text = std::str::from_utf8(self.take(len)).expect("text");
        Some(text.to_owned())
    }

    /// Takes an array, each element by `read`.
    pub fn array<T>(&mut self, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.i32()).map(|_| read(self)).collect()
    }
}
