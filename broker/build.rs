//! Tells the binary which commit it is built from: `LEVERET_COMMIT` of the environment, or else
//! what git says of this checkout, or else `unknown`. Nothing here needs git.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LEVERET_COMMIT");
    let given = std::env::var("LEVERET_COMMIT").ok();
    let commit = given.filter(|given| !given.is_empty()).or_else(|| {
        // Git appends to it whenever the checkout comes to be at another commit.
        let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
        if Path::new(&log).exists() {
            println!("cargo::rerun-if-changed={log}");
        }
        git(&["rev-parse", "--short=12", "HEAD"])
    });
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=LEVERET_COMMIT={commit}");
}

/// The one line that git answers.
fn git(arguments: &[&str]) -> Option<String> {
    let answer = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| line.trim().to_owned())
}
