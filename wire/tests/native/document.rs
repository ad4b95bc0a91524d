//! `docs/wire-format.md` says what the code does.

use leveret_wire::native::{
    DEFAULT_PORT, ErrorCode, FrameLimits, Kind, MAX_CREDIT, MAX_SUBSCRIPTION_PARTITIONS,
    MAX_SUBSCRIPTIONS,
};

const DOCUMENT: &str = include_str!("../../../docs/wire-format.md");

#[test]
fn every_kind_stands_in_the_document_with_its_number() {
    for kind in Kind::ALL {
        let entry = format!("`{}` `{:#06x}`", kind.name(), kind.as_u16());
        let request_entry = format!("`{}` | `{:#06x}`", kind.name(), kind.as_u16());
        assert!(
            DOCUMENT.contains(&entry) || DOCUMENT.contains(&request_entry),
            "{entry} is missing"
        );
    }
}

#[test]
fn every_error_code_stands_in_the_document_with_its_number() {
    for code in ErrorCode::ALL
        .iter()
        .filter(|code| **code != ErrorCode::Unknown)
    {
        let retriable = if code.is_retriable() { "yes" } else { "no" };
        let line = format!("| {} | `{}` | {retriable} |", code.as_u16(), code.name());
        assert!(DOCUMENT.contains(&line), "{line} is missing");
    }
}

#[test]
fn the_bounds_stand_in_the_document() {
    let request = format!("at most {} KiB", FrameLimits::MAX_REQUEST_HEADER >> 10);
    let response = format!("at most {} MiB", FrameLimits::MAX_RESPONSE_HEADER >> 20);
    let subscription = format!(
        "at most {} GiB of credit at a time and {MAX_SUBSCRIPTION_PARTITIONS} partitions, a connection {MAX_SUBSCRIPTIONS} subscriptions",
        MAX_CREDIT >> 30,
    );
    let port = format!("Default port: {DEFAULT_PORT}");
    // Wherever its lines are broken.
    let document = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [request, response, subscription, port] {
        assert!(document.contains(&text), "{text} is missing");
    }
}
