//! One record as a line: its value, or JSON.

use std::io::Write;

use leveret_record::RecordRef;

use super::base64;
use crate::cli::failure::Failure;

/// Writes records to `out`.
pub(super) struct Printer<W> {
    out: W,
    json: bool,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, json: bool) -> Self {
        Self { out, json }
    }

    /// Writes one record and a line feed.
    pub(super) fn print(&mut self, partition: u32, record: &RecordRef<'_>) -> Result<(), Failure> {
        let written = if self.json {
            self.out.write_all(json(partition, record).as_bytes())
        } else {
            self.out
                .write_all(record.value.unwrap_or_default())
                .and_then(|()| self.out.write_all(b"\n"))
        };
        written.map_err(|error| Failure::output(&error))
    }

    /// Lets everything written so far be seen.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }
}

fn json(partition: u32, record: &RecordRef<'_>) -> String {
    let RecordRef {
        offset,
        timestamp,
        key,
        value,
        ..
    } = record;
    let (key, value) = (field("key", *key), field("value", *value));
    format!(
        "{{\"partition\":{partition},\"offset\":{offset},\"timestamp\":{timestamp},{key},{value}}}\n"
    )
}

/// `"name":"text"`, `"name_base64":"…"` for what is not UTF-8, or `"name":null`.
fn field(name: &str, bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => format!("\"{name}\":null"),
        Some((_, Ok(text))) => {
            let text = serde_json::to_string(text).expect("text is always JSON");
            format!("\"{name}\":{text}")
        }
        Some((bytes, Err(_))) => format!("\"{name}_base64\":\"{}\"", base64::encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use leveret_record::{BatchBuilder, Compression, MAX_RECORDS_LEN, records};

    use super::*;

    fn printed(key: Option<&[u8]>, value: Option<&[u8]>, json: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        builder
            .push(1_700_000_000_000, key, value, &[])
            .expect("fits");
        let batch = builder.finish();
        let set = records(&batch, MAX_RECORDS_LEN).expect("valid");
        let mut printer = Printer::new(Vec::new(), json);
        for record in set.iter() {
            printer
                .print(3, &record.expect("valid"))
                .expect("writing to memory");
        }
        printer.out
    }

    #[test]
    fn json_tells_text_bytes_and_null_apart() {
        let line = |key, value| String::from_utf8(printed(key, value, true)).expect("JSON is text");
        assert_eq!(
            line(Some(b"k\"ey"), Some(b"")),
            "{\"partition\":3,\"offset\":0,\"timestamp\":1700000000000,\"key\":\"k\\\"ey\",\"value\":\"\"}\n"
        );
        assert_eq!(
            line(None, Some(b"\xff")),
            "{\"partition\":3,\"offset\":0,\"timestamp\":1700000000000,\"key\":null,\"value_base64\":\"/w==\"}\n"
        );
        assert!(line(Some(b"\xff"), None).contains("\"key_base64\":\"/w==\",\"value\":null"));
    }

    #[test]
    fn plain_output_is_the_bytes_of_the_value() {
        assert_eq!(printed(Some(b"k"), Some(b"v\xff\r"), false), b"v\xff\r\n");
        assert_eq!(printed(None, None, false), b"\n");
    }
}
