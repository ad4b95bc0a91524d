//! What goes in: values, and batches of them. The same in every run.

use bytes::Bytes;
use leveret_record::{BatchBuilder, Compression};

/// xorshift64*: enough for bytes that no codec shortens.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Bytes that no codec shortens.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(len).collect()
    }

    /// A line as logs have them: words that repeat, and numbers that do not.
    fn line(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 8] = [
            "GET",
            "POST",
            "/api/v1/orders/",
            "status=",
            "user=",
            "latency_us=",
            "ok",
            "retry",
        ];
        let mut line = String::new();
        while line.len() < len {
            let next = self.next();
            line.push_str(WORDS[next as usize % WORDS.len()]);
            line.push_str(&format!("{} ", (next >> 32) % 100_000));
        }
        line.truncate(len);
        line.into_bytes()
    }
}

/// How far codecs shorten a value.
#[derive(Clone, Copy)]
pub(crate) enum Fill {
    /// To a quarter: fields of JSON, and few bytes that are new.
    Quarter,
    /// By a third: mostly bytes that are new.
    TwoThirds,
}

/// A value of `len` bytes that zstd shortens as far as `fill` says, the others less.
fn fields(random: &mut Random, len: usize, fill: Fill) -> Vec<u8> {
    const FIELDS: [&str; 16] = [
        "{\"service\":\"orders\",",
        "\"status\":\"accepted\",",
        "\"region\":\"eu-west-1\",",
        "\"currency\":\"EUR\",",
        "\"retry\":false,",
        "\"channel\":\"web-shop\",",
        "\"customer\":",
        "\"warehouse\":\"north\",",
        "\"latency_us\":",
        "\"items\":[",
        "\"trace\":\"",
        "\"method\":\"POST\",",
        "\"path\":\"/api/v1/orders/\",",
        "\"payment\":\"invoice\",",
        "\"priority\":\"normal\",",
        "\"version\":\"2.14.3\"}",
    ];
    let new_in_100 = match fill {
        Fill::Quarter => 15,
        Fill::TwoThirds => 78,
    };
    let mut value = Vec::new();
    while value.len() < len {
        let next = random.next();
        let which = (next >> 32) as usize;
        if next % 100 < new_in_100 {
            value.extend(random.bytes(8).into_iter().take(4 + which % 8));
        } else {
            value.extend_from_slice(FIELDS[which % FIELDS.len()].as_bytes());
        }
    }
    value.truncate(len);
    value
}

/// One batch of values of 100 bytes, of about `len` bytes before it is compressed.
pub(crate) fn filled(len: usize, fill: Fill, codec: Compression) -> Bytes {
    const VALUE: usize = 100;
    /// Of a record beside its value, about.
    const REST: usize = 9;
    let mut random = Random::new(len as u64);
    let values = (0..len / (VALUE + REST)).map(|_| fields(&mut random, VALUE, fill));
    build(&mut BatchBuilder::new(codec), &values.collect::<Vec<_>>())
}

/// Values of `len` bytes: lines for a codec, and otherwise bytes that none shortens.
pub(crate) fn values(count: usize, len: usize, codec: Compression) -> Vec<Vec<u8>> {
    let mut random = Random::new(count as u64);
    let value = |_| match codec {
        Compression::None => random.bytes(len),
        _ => random.line(len),
    };
    (0..count).map(value).collect()
}

pub(crate) fn build(builder: &mut BatchBuilder, values: &[Vec<u8>]) -> Bytes {
    for (n, value) in (0..).zip(values) {
        let pushed = builder.push(1_700_000_000_000 + n / 10, None, Some(value), &[]);
        pushed.expect("a small batch");
    }
    builder.finish()
}

/// One batch of `count` values of `len` bytes.
pub(crate) fn batch(count: usize, len: usize, codec: Compression) -> Bytes {
    build(&mut BatchBuilder::new(codec), &values(count, len, codec))
}
