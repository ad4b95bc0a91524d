//! Names that may stand only in certain places: the kernel, the clock, seeded hash maps, unsafe.

use super::Finding;
use crate::tree::{File, Tree};

/// One rule: these words may not stand in files for which `within` holds and `except` does not.
struct Ban {
    words: &'static [&'static str],
    within: &'static [&'static str],
    except: &'static [&'static str],
    instead: &'static str,
}

const SANS_IO: &[&str] = &[
    "record/src/",
    "wire/src/",
    "storage/src/",
    "engine/src/",
    "client/src/core/",
    "broker/src/core/",
];

const BANS: [Ban; 8] = [
    Ban {
        words: &["glommio::", "use glommio", "crate glommio"],
        within: &[""],
        except: &[
            "broker/src/runtime/",
            "broker/tests/house/",
            "client/src/glommio/",
            "client/tests/over_glommio.rs",
            "client/examples/glommio.rs",
        ],
        instead: "only broker/src/runtime/ and the client's driver for it name the runtime",
    },
    Ban {
        words: &["tokio::"],
        within: &["client/src/driver/"],
        except: &[],
        instead: "the driver's text asks its `rt`, whichever runtime that is",
    },
    Ban {
        words: &["io_uring::", "libc::"],
        within: &["broker/src/"],
        except: &["broker/src/runtime/"],
        instead: "only broker/src/runtime/ touches the kernel",
    },
    Ban {
        words: &[
            "Instant::now",
            "SystemTime",
            "std::time::Instant",
            "std::fs",
            "std::thread",
            "tokio::",
        ],
        within: SANS_IO,
        except: &[],
        instead: "sans-io code takes time as a parameter and emits I/O",
    },
    Ban {
        words: &[
            "std::collections::HashMap",
            "std::collections::HashSet",
            "collections::{HashMap",
            "RandomState",
        ],
        within: SANS_IO,
        except: &[],
        instead: "iteration order must not depend on a random seed: BTreeMap or hashbrown with a fixed state",
    },
    Ban {
        words: &["CoreId"],
        within: &["engine/src/"],
        except: &[],
        instead: "the engine knows slots; which core one lives on is the caller's to know",
    },
    Ban {
        words: &[
            "Protocol::Native =>",
            "Protocol::Native) =>",
            "Protocol::Kafka =>",
            "Protocol::Kafka) =>",
            "== Protocol::",
            "!= Protocol::",
            "ProtocolState::",
            "Produces::",
            "WantsId::",
        ],
        within: &["broker/src/core/"],
        except: &["broker/src/core/protocol.rs", "broker/src/core/session.rs"],
        instead: "only broker/src/core/protocol.rs tells protocols apart: what one does otherwise is a part of its trait",
    },
    Ban {
        words: &["allow(unsafe_code", "expect(unsafe_code"],
        within: &[""],
        except: &[
            "broker/src/runtime/",
            "broker/tests/house/",
            "wire/src/native/",
            "testkit/src/",
            "loadgen/src/raw/",
        ],
        instead: "unsafe stands in broker/src/runtime/, generated code and the counting allocator of tests",
    },
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| BANS.iter().flat_map(move |ban| broken(ban, file)))
        .collect()
}

fn broken(ban: &Ban, file: &File) -> Vec<Finding> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| file.path.starts_with(p));
    if !starts(ban.within) || starts(ban.except) {
        return Vec::new();
    }
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let named = |(n, line): (usize, &str)| {
        let word = ban
            .words
            .iter()
            .find(|w| line.contains(**w))
            .filter(|_| code(&line))?;
        Some(format!(
            "{}:{}: names {word}; {}",
            file.path,
            n + 1,
            ban.instead
        ))
    };
    file.text.lines().enumerate().filter_map(named).collect()
}

#[test]
fn forbidden_names_are_found_and_comments_are_not() {
    let tree = Tree::of(&[
        (
            "engine/src/a.rs",
            "// glommio is elsewhere\nlet t = Instant::now();\n",
        ),
        ("engine/src/i.rs", "fn asks(core: CoreId) {}\n"),
        ("broker/src/core/j.rs", "Protocol::Kafka => 4,\n"),
        ("broker/src/core/protocol.rs", "Protocol::Kafka => 4,\n"),
        ("storage/src/b.rs", "use std::collections::HashMap;\n"),
        ("sim/src/c.rs", "use glommio::x;\n"),
        ("client/src/d.rs", "#![allow(unsafe_code)]\n"),
        ("client/src/driver/f.rs", "::glommio::spawn_local(x);\n"),
        ("client/src/driver/g.rs", "tokio::spawn(x);\n"),
        ("client/src/glommio/h.rs", "use ::glommio::timer::Timer;\n"),
        (
            "broker/src/runtime/e.rs",
            "use glommio::x; #![allow(unsafe_code)]\n",
        ),
    ]);
    let found = check(&tree);
    assert_eq!(found.len(), 8, "{found:?}");
}
