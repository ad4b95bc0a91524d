//! The workspace's text files, read once per test.

use std::fs;
use std::path::{Path, PathBuf};

/// Path relative to the workspace root (with `/`), and content.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The text files that the house rules speak of.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// Folders that hold no source of ours. Worktrees of build output start with `target`.
const PASSED_OVER: [&str; 3] = [".git", "leveret-data", "node_modules"];
const READ: [&str; 6] = ["rs", "toml", "md", "fbs", "py", "sh"];

impl Tree {
    /// Reads the workspace that this test was built from.
    pub(crate) fn of_workspace() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace above");
        let mut files = Vec::new();
        read_into(root, root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(
            files.iter().any(|f| f.path == "broker/src/lib.rs"),
            "not the workspace: {root:?}"
        );
        Self { files }
    }

    /// A tree of samples, for negative controls.
    #[cfg(test)]
    pub(crate) fn of(samples: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.into(),
            text: text.into(),
        };
        Self {
            files: samples.iter().map(file).collect(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|f| f.path == path)
            .map(|f| f.text.as_str())
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.path.ends_with(".rs"))
    }
}

fn read_into(root: &Path, dir: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path: PathBuf = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !PASSED_OVER.contains(&name.as_str()) && !name.starts_with("target") {
                read_into(root, &path, files);
            }
        } else if path
            .extension()
            .is_some_and(|e| READ.iter().any(|r| e == *r))
        {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let relative = path.strip_prefix(root).expect("below the root");
            files.push(File {
                path: relative.to_string_lossy().into_owned(),
                text,
            });
        }
    }
}
