//! The rules of the house, as tests: what may import what, what may be named where, how long a
//! file may be, of how many fields a struct of storage, and that `ARCHITECTURE.md` names every folder and nothing that is gone.
//!
//! Each rule is a function from text to findings, so that each has a negative control: a sample
//! that breaks it must be found.

mod rules;
mod tree;

use rules::{Finding, architecture, fields, imports, length, names};
use tree::Tree;

fn none(findings: Vec<Finding>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn crates_import_only_along_the_arrows() {
    none(imports::check(&Tree::of_workspace()));
}

#[test]
fn the_kernel_and_the_clock_are_named_only_where_they_may_be() {
    none(names::check(&Tree::of_workspace()));
}

#[test]
fn no_file_is_too_long() {
    none(length::check(&Tree::of_workspace()));
}

#[test]
fn storage_is_made_of_parts() {
    none(fields::check(&Tree::of_workspace()));
}

#[test]
fn architecture_names_every_folder_and_nothing_else() {
    none(architecture::check(&Tree::of_workspace()));
}
