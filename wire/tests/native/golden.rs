//! The bytes of every kind, frozen: a change of the format must show as a change of
//! `golden.txt`, one line per kind (its name, then the frame in hex).

use std::fmt::Write as _;

use super::samples::{request_frame, requests, response_frame, responses};

fn line(name: &str, frame: &[u8]) -> String {
    let mut line = format!("{name} ");
    for byte in frame {
        write!(line, "{byte:02x}").unwrap();
    }
    line
}

#[test]
fn frames_are_as_they_were() {
    let mut actual: Vec<String> = requests()
        .iter()
        .map(|request| line(request.kind().name(), &request_frame(request, 0)))
        .collect();
    actual.extend(
        responses()
            .iter()
            .map(|response| line(response.kind().name(), &response_frame(response, 0))),
    );
    let frozen: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(
        actual.len(),
        frozen.len(),
        "the golden file has a line per kind"
    );
    for (actual, frozen) in actual.iter().zip(frozen) {
        assert_eq!(actual, frozen);
    }
}
