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
