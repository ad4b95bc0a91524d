//! Which protocol a connection's first bytes belong to, for ports on which a peer speaks another
//! protocol than theirs: so that the log can say so, and the peer can be told in its own protocol.
//!
//! It tells apart protocols that never begin alike; where it is not sure it names none.

use bytes::BytesMut;

use crate::native::{
    CorrelationId, Encoder, ErrorCode, ErrorResponse, Kind, Response as NativeResponse,
};

/// A protocol that a peer seems to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speech {
    /// Leveret's native protocol.
    Native,
    /// Kafka's protocol.
    Kafka,
    /// HTTP of any version.
    Http,
    /// TLS, whatever is inside.
    Tls,
    /// AMQP of any version.
    Amqp,
    /// MQTT of any version.
    Mqtt,
    /// SSH of any version.
    Ssh,
}

/// How requests of HTTP begin; the last is HTTP/2.
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
    b"PRI * HTTP/2",
];

/// The alert of TLS 1.2 that says: fatal, protocol version.
const TLS_ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

impl Speech {
    /// What a client that begins so seems to speak.
    #[must_use]
    pub fn of_request(bytes: &[u8]) -> Option<Self> {
        if METHODS.iter().any(|method| bytes.starts_with(method)) {
            return Some(Self::Http);
        }
        if is_tls(bytes) {
            return Some(Self::Tls);
        }
        if bytes.first() == Some(&0x10) && bytes.get(4..8) == Some(b"MQTT") {
            return Some(Self::Mqtt);
        }
        let by_name = Self::by_name(bytes);
        by_name
            .or_else(|| is_native(bytes).then_some(Self::Native))
            .or_else(|| is_kafka(bytes).then_some(Self::Kafka))
    }

    /// What a server that answers so seems to speak.
    #[must_use]
    pub fn of_answer(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"HTTP/") {
            return Some(Self::Http);
        }
        if is_tls(bytes) {
            return Some(Self::Tls);
        }
        Self::by_name(bytes)
    }

    fn by_name(bytes: &[u8]) -> Option<Self> {
        match bytes.get(..4) {
            Some(b"AMQP") => Some(Self::Amqp),
            Some(b"SSH-") => Some(Self::Ssh),
            _ => None,
        }
    }

    /// In words: `Kafka's protocol`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "Leveret's native protocol",
            Self::Kafka => "Kafka's protocol",
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Amqp => "AMQP",
            Self::Mqtt => "MQTT",
            Self::Ssh => "SSH",
        }
    }

    /// What to answer before hanging up, so that the peer's own program says what is wrong; empty
    /// where the protocol has no words for it. `sentence` has no line break.
    #[must_use]
    pub fn farewell(self, sentence: &str) -> Vec<u8> {
        match self {
            Self::Http => format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{sentence}\n",
                sentence.len() + 1
            )
            .into_bytes(),
            Self::Native => {
                let mut error = ErrorResponse::new(ErrorCode::BadFrame, sentence);
                error.remedy = "connect to the other address".into();
                let mut out = BytesMut::new();
                let response = NativeResponse::Error(error);
                Encoder::new().response(&mut out, CorrelationId(0), &response, 0);
                out.to_vec()
            }
            Self::Tls => TLS_ALERT.to_vec(),
            Self::Ssh => format!("{sentence}\r\n").into_bytes(),
            Self::Kafka | Self::Amqp | Self::Mqtt => Vec::new(),
        }
    }
}

/// A record of TLS: a handshake or an alert, of major version 3.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22, 3, 0..=4, ..])
}

/// A frame of ours whose kind is `Hello` (docs/wire-format.md).
fn is_native(bytes: &[u8]) -> bool {
    let [low, high] = Kind::Hello.as_u16().to_le_bytes();
    matches!(bytes, [_, _, _, _, 1, 0, a, b, 0, 0, 0, 0, ..] if (*a, *b) == (low, high))
}

/// A request of Kafka: a length of some megabytes at most, then an API and a version that may be.
fn is_kafka(bytes: &[u8]) -> bool {
    let Some([l0, l1, l2, l3, a0, a1, v0, v1, ..]) = bytes.first_chunk::<8>() else {
        return false;
    };
    let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
    let (api, version) = (
        u16::from_be_bytes([*a0, *a1]),
        u16::from_be_bytes([*v0, *v1]),
    );
    (8..64 << 20).contains(&length) && api < 128 && version < 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::{FrameHeader, FrameLimits, Hello, Request};

    fn hello() -> Vec<u8> {
        let mut out = BytesMut::new();
        let hello = Request::Hello(Hello {
            min_version: 1,
            max_version: 1,
            client_name: "x",
            client_version: "1",
            core: None,
        });
        Encoder::new().request(&mut out, CorrelationId(0), &hello, 0);
        out.to_vec()
    }

    #[test]
    fn protocols_are_told_apart_by_their_first_bytes() {
        let api_versions = [0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 1, 0, 4, b't'];
        for (bytes, speech) in [
            (&hello()[..], Speech::Native),
            (&api_versions, Speech::Kafka),
            (b"GET / HTTP/1.1\r\n", Speech::Http),
            (b"PRI * HTTP/2.0\r\n", Speech::Http),
            (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], Speech::Tls),
            (b"AMQP\0\0\x09\x01", Speech::Amqp),
            (b"\x10\x10\0\x04MQTT\x04", Speech::Mqtt),
            (b"SSH-2.0-x\r\n", Speech::Ssh),
        ] {
            assert_eq!(Speech::of_request(bytes), Some(speech), "{bytes:?}");
        }
        for nothing in [&b""[..], b"GET", b"\0\0\0\x14", &[255; 32], &[0; 32]] {
            assert_eq!(Speech::of_request(nothing), None, "{nothing:?}");
        }
        assert_eq!(Speech::of_answer(b"HTTP/1.0 400 "), Some(Speech::Http));
        assert_eq!(Speech::of_answer(&TLS_ALERT), Some(Speech::Tls));
        assert_eq!(Speech::of_answer(&hello()), None);
    }

    #[test]
    fn a_farewell_is_of_the_peers_own_protocol() {
        let http = String::from_utf8(Speech::Http.farewell("no")).unwrap();
        assert!(http.ends_with("Content-Length: 3\r\n\r\nno\n"), "{http}");
        let native = Speech::Native.farewell("not here");
        let limits = FrameLimits::for_responses(0);
        let header = FrameHeader::parse(&native, &limits).unwrap().unwrap();
        let response = NativeResponse::decode(header.kind, &native[header.header_range()]);
        match response.unwrap() {
            NativeResponse::Error(error) => assert_eq!(error.message, "not here"),
            other => panic!("{other:?}"),
        }
        assert!(is_tls(&Speech::Tls.farewell("no")));
        assert!(Speech::Kafka.farewell("no").is_empty());
    }
}
