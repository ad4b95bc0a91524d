//! `ARCHITECTURE.md` names every folder that holds source, and every path it names exists.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.get("ARCHITECTURE.md") else {
        return vec!["ARCHITECTURE.md: missing".to_owned()];
    };
    let named = paths_in(text);
    let mut findings = Vec::new();
    for folder in folders(tree) {
        if !named.contains(&format!("{folder}/")) {
            findings.push(format!("ARCHITECTURE.md: does not name `{folder}/`"));
        }
    }
    let exists = |path: &str| {
        let file = tree.get(path).is_some();
        file || (path.ends_with('/') && tree.files.iter().any(|f| f.path.starts_with(path)))
    };
    for path in named {
        let ours = path.ends_with(".rs") || path.ends_with(".md") || path.ends_with('/');
        if ours && path.contains('/') && !exists(&path) {
            findings.push(format!(
                "ARCHITECTURE.md: names `{path}`, which is not there"
            ));
        }
    }
    findings
}

/// Folders below a `src/` that hold Rust files other than tests, and every top-level folder with
/// text of ours.
fn folders(tree: &Tree) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in &tree.files {
        let Some((folder, _)) = file.path.rsplit_once('/') else {
            continue;
        };
        let top = folder.split('/').next().unwrap_or(folder);
        if !top.starts_with('.') {
            all.insert(top.to_owned());
        }
        let tests = folder.ends_with("/tests") || file.path.ends_with("/tests.rs");
        if folder.contains("/src/") && file.path.ends_with(".rs") && !tests {
            all.insert(folder.to_owned());
        }
    }
    all
}

/// Everything in backticks that looks like a path.
fn paths_in(text: &str) -> BTreeSet<String> {
    let ticked = text.split('`').skip(1).step_by(2);
    let path = |s: &&str| !s.contains(char::is_whitespace) && s.contains(['/', '.']);
    ticked.filter(path).map(str::to_owned).collect()
}

#[test]
fn an_unnamed_folder_and_a_vanished_path_are_found() {
    let tree = Tree::of(&[
        (
            "ARCHITECTURE.md",
            "The `record/` crate, then `storage/src/gone.rs`.",
        ),
        ("record/src/lib.rs", ""),
        ("record/src/deep/x.rs", ""),
        ("storage/src/lib.rs", ""),
    ]);
    let found = check(&tree);
    assert_eq!(found.len(), 3, "{found:?}");
}
