//! Which crate of ours may import which: the arrows of `ARCHITECTURE.md`.

use super::Finding;
use crate::tree::Tree;

/// Crate folder and what it may name under `[dependencies]`.
const ARROWS: [(&str, &[&str]); 12] = [
    ("record", &[]),
    ("storage", &[]),
    ("wire", &["record"]),
    ("engine", &["storage", "record"]),
    ("client", &["wire", "record"]),
    // The client is for the command line of the binary only: docs/decisions/0002.
    ("broker", &["wire", "engine", "storage", "record", "client"]),
    ("loadgen", &["client", "record"]),
    (
        "sim",
        &["broker", "client", "wire", "engine", "storage", "record"],
    ),
    (
        "fuzz",
        &[
            "broker", "engine", "record", "sim", "storage", "testkit", "wire",
        ],
    ),
    // So that the tests of every crate above storage may use it.
    ("testkit", &["storage"]),
    // All but the simulator, which compiles storage's hooks for broken rules in.
    (
        "benches",
        &[
            "broker", "client", "loadgen", "wire", "engine", "storage", "record",
        ],
    ),
    ("compat/powercut", &["sim"]),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, allowed) in ARROWS {
        let path = format!("{name}/Cargo.toml");
        let Some(manifest) = tree.get(&path) else {
            findings.push(format!("{path}: missing"));
            continue;
        };
        for import in imports_of(manifest) {
            if !allowed.contains(&import.as_str()) {
                findings.push(format!("{path}: {name} must not import {import}"));
            }
        }
    }
    for file in tree.rust().filter(|f| f.path.starts_with("broker/src/")) {
        let may = file.path.starts_with("broker/src/cli/") || file.path == "broker/src/main.rs";
        if !may && file.text.contains("leveret_client") {
            findings.push(format!(
                "{}: only the command line may use the client",
                file.path
            ));
        }
    }
    findings
}

/// Our crates named in `[dependencies]` (dev-dependencies may point anywhere).
fn imports_of(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some(rest) = line.strip_prefix("leveret-")
        {
            let end = rest.find(['.', ' ', '=']).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
        }
    }
    found
}

#[test]
fn a_forbidden_arrow_is_found() {
    let manifest =
        "[dependencies]\nleveret-engine.workspace = true\n[dev-dependencies]\nleveret-sim = {}\n";
    assert_eq!(imports_of(manifest), ["engine"]);
    let findings = check(&Tree::of(&[("record/Cargo.toml", manifest)]));
    assert!(
        findings
            .iter()
            .any(|f| f.contains("record must not import engine"))
    );
}
