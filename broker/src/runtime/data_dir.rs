//! What stands at the path that `--data` names, told before anything is made there: a broker
//! starts in a data directory or where there is nothing, and never among somebody else's files.

use std::fs;
use std::io;
use std::path::Path;

use leveret_storage::io::{Dir, FileName};

use super::RuntimeError;

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing is there.
    Nothing,
    /// A directory without anything of anybody: empty, or with `lost+found` alone.
    Empty,
    /// What a broker keeps, whole or not: whether it is, recovery and `leveret verify` tell.
    Data,
    /// A directory of other things; the first name that is not a broker's.
    Foreign(String),
    /// A file.
    File,
}

impl Holding {
    /// Looks, and changes nothing.
    ///
    /// # Errors
    /// [`RuntimeError::DataDir`] when it may not be looked into.
    pub fn at(path: &Path) -> Result<Self, RuntimeError> {
        look(path).map_err(|source| RuntimeError::DataDir {
            path: path.to_owned(),
            source,
        })
    }

    /// Refuses to make a data directory among other things, or of a file.
    pub(super) fn may_serve(&self, path: &Path) -> Result<(), RuntimeError> {
        let found = match self {
            Self::Nothing | Self::Empty | Self::Data => return Ok(()),
            Self::File => "is a file, not a directory".to_owned(),
            Self::Foreign(name) => {
                format!("is no data directory and not empty: `{name}` is in it")
            }
        };
        Err(RuntimeError::NotData {
            path: path.to_owned(),
            found,
        })
    }
}

fn look(path: &Path) -> io::Result<Holding> {
    let entries = match fs::metadata(path) {
        Ok(found) if found.is_dir() => fs::read_dir(path)?,
        Ok(_) => return Ok(Holding::File),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holding::Nothing),
        // A file stands where a directory on the way to it should be.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Holding::File),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    if names.iter().any(|name| name == "superblock") || holds_ours(path)? {
        return Ok(Holding::Data);
    }
    Ok(match names.into_iter().find(|name| !is_harmless(name)) {
        Some(foreign) => Holding::Foreign(foreign),
        None => Holding::Empty,
    })
}

/// What a file system puts into its root, and what a first start leaves that was cut off at once.
fn is_harmless(name: &str) -> bool {
    let left = ["journal", "logs", "lost+found", "LOCK"];
    left.contains(&name) || name.starts_with("probe-")
}

/// Journals or logs by their names, for a directory that has lost its superblock.
fn holds_ours(path: &Path) -> io::Result<bool> {
    for dir in [Dir::Journal, Dir::Logs] {
        let entries = match fs::read_dir(path.join(dir.path())) {
            Ok(entries) => entries,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if FileName::parse(dir, &name).is_some() || Dir::parse_log(&name).is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_place_is_told_apart() {
        let base = std::env::temp_dir().join(format!("leveret-holding-{}", std::process::id()));
        let of = |name: &str| Holding::at(&base.join(name)).unwrap();
        fs::create_dir_all(base.join("empty/lost+found")).unwrap();
        fs::create_dir_all(base.join("begun/journal")).unwrap();
        fs::create_dir_all(base.join("begun/logs")).unwrap();
        fs::create_dir_all(base.join("lost/journal")).unwrap();
        fs::create_dir_all(base.join("lost/logs/0000000000000007")).unwrap();
        fs::create_dir_all(base.join("other/logs")).unwrap();
        fs::create_dir_all(base.join("data")).unwrap();
        for file in [
            "file",
            "lost/note",
            "other/logs/a.log",
            "other/notes",
            "data/superblock",
        ] {
            fs::write(base.join(file), b"").unwrap();
        }
        std::os::unix::fs::symlink(base.join("data"), base.join("link")).unwrap();
        assert_eq!(of("nowhere/at/all"), Holding::Nothing);
        assert_eq!(of("empty"), Holding::Empty);
        assert_eq!(of("begun"), Holding::Empty);
        assert_eq!(of("lost"), Holding::Data);
        assert_eq!(of("data"), Holding::Data);
        assert_eq!(of("link"), Holding::Data);
        assert_eq!(of("other"), Holding::Foreign("notes".to_owned()));
        assert_eq!(of("file"), Holding::File);
        assert_eq!(of("file/below"), Holding::File);
        for refused in ["other", "file"] {
            let path = base.join(refused);
            let line = of(refused).may_serve(&path).unwrap_err().to_string();
            assert!(line.contains(refused) && line.contains("--data"), "{line}");
        }
        assert!(of("empty").may_serve(&base).is_ok());
        fs::remove_dir_all(&base).unwrap();
    }
}
