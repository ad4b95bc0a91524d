//! A struct of storage with more than 16 fields asks to be made of parts. Those whose fields are all
//! public are lists of settings or of figures, and may be longer.

use super::Finding;
use crate::tree::Tree;

const FIELDS: usize = 16;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let storage = tree
        .rust()
        .filter(|file| file.path.starts_with("storage/src/"));
    let mut findings = Vec::new();
    for file in storage {
        let mut lines = file.text.lines();
        while let Some(line) = lines.next() {
            let Some(name) = opens_struct(line) else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let inner = " ".repeat(indent + 4);
            let (mut fields, mut public) = (0, 0);
            for line in lines.by_ref().take_while(|line| line.trim() != "}") {
                let field = line.strip_prefix(&inner).filter(|rest| is_field(rest));
                fields += usize::from(field.is_some());
                public += usize::from(field.is_some_and(|rest| rest.starts_with("pub ")));
            }
            if fields > FIELDS && public < fields {
                findings.push(format!(
                    "{}: struct {name} has {fields} fields, more than {FIELDS}: make parts of it",
                    file.path
                ));
            }
        }
    }
    findings
}

fn opens_struct(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_suffix('{')?;
    let (before, name) = line.split_once("struct ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name.trim())
}

fn is_field(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let name = name.rsplit(' ').next().unwrap_or_default();
    !line.starts_with([' ', '/', '#']) && line.contains(':') && !name.is_empty()
}

#[test]
fn a_struct_of_many_fields_is_found() {
    let fields = |visibility: &str, count: usize| {
        let field = |number| format!("    /// What: this.\n    {visibility}f{number}: u8,\n");
        let fields: String = (0..count).map(field).collect();
        format!("pub struct Many<T> {{\n{fields}}}\n")
    };
    let found = |path: &str, text: &str| check(&Tree::of(&[(path, text)])).len();
    assert_eq!(found("storage/src/a.rs", &fields("", FIELDS)), 0);
    assert_eq!(found("storage/src/a.rs", &fields("", FIELDS + 1)), 1);
    assert_eq!(
        found("storage/src/a.rs", &fields("pub(crate) ", FIELDS + 1)),
        1
    );
    assert_eq!(found("storage/src/a.rs", &fields("pub ", FIELDS + 1)), 0);
    assert_eq!(found("wire/src/a.rs", &fields("", FIELDS + 1)), 0);
}
