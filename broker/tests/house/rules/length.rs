//! A file of more than 600 lines asks to be split.

use super::Finding;
use crate::tree::Tree;

const LINES: usize = 600;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let generated = |path: &str| path.ends_with("generated.rs");
    let too_long = tree
        .rust()
        .filter(|f| !generated(&f.path))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > LINES).then(|| format!("{}: {lines} lines, more than {LINES}", file.path))
        });
    too_long.collect()
}

#[test]
fn a_long_file_is_found() {
    let long = "\n".repeat(LINES + 1);
    let tree = Tree::of(&[
        ("a/src/long.rs", &long),
        ("wire/src/native/generated.rs", &long),
    ]);
    assert_eq!(check(&tree).len(), 1);
}
