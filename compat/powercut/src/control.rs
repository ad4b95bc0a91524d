//! `leveret-powercut mount DIR`: the file system alone, for checks in other languages. One command
//! per line on standard input, one JSON object per command on standard output.
//!
//! | command | what it does |
//! |---|---|
//! | `fault ACTION CLASS eio\|enospc\|ignore SKIP TIMES` | after SKIP such requests the next TIMES fail, or only seem to be done |
//! | `clear` | no faults, space in plenty |
//! | `space BYTES` | so much is free now; what grows takes of it, what is removed gives back |
//! | `freeze`, `cut` | nothing completes any more; the power goes and comes back. Kill the process between the two |
//! | `settle` | everything is durable, as after an orderly unmount |
//! | `counts` | faults met, attempts at what had failed, free bytes |

use std::io::{self, BufRead, Write};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::device::PowerSwitch;
use crate::faults::{Action, Class, Fault, Outcome};

/// Obeys commands until standard input ends.
///
/// # Errors
/// When standard input or output fails.
pub(crate) fn run(switch: &PowerSwitch) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", json!({ "mounted": true }))?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        let answer = obey(switch, &line?).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn obey(switch: &PowerSwitch, line: &str) -> Result<Value, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["fault", action, class, outcome, skip, times] => {
            let fault = Fault {
                action: Action::from_str(action, true)?,
                class: Class::from_str(class, true)?,
                outcome: outcome_of(outcome)?,
                skip: number(skip)?,
                times: number(times)?,
            };
            switch.with_faults(|faults| faults.add(fault));
        }
        ["clear"] => switch.with_faults(crate::faults::Faults::clear),
        ["space", bytes] => {
            let bytes = number(bytes)?;
            switch.set_free_bytes(bytes);
        }
        ["freeze"] => switch.freeze(),
        ["cut"] => {
            switch.release();
            let losses = switch.restore();
            return Ok(json!({
                "torn_writes": losses.torn_writes,
                "lost_writes": losses.lost_writes,
                "names": losses.names,
            }));
        }
        ["settle"] => switch.settle(),
        ["counts"] => {
            let (met, tried_again) = switch.with_faults(|f| (f.met(), f.tried_again()));
            let free = switch.free_bytes();
            return Ok(json!({ "met": met, "tried_again": tried_again, "free": free }));
        }
        _ => return Err(format!("no such command: {line:?}")),
    }
    Ok(json!({ "ok": true }))
}

fn outcome_of(word: &str) -> Result<Outcome, String> {
    match word {
        "eio" => Ok(Outcome::Fail(libc::EIO)),
        "enospc" => Ok(Outcome::Fail(libc::ENOSPC)),
        "ignore" => Ok(Outcome::Ignore),
        _ => Err(format!("no such outcome: {word}")),
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("no number: {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn commands_are_obeyed_and_nonsense_is_refused() {
        let (_fs, switch) = crate::fs::new(Device::Honest, 1);
        let obey = |line| obey(&switch, line);
        assert_eq!(
            obey("fault sync journal eio 0 1"),
            Ok(json!({ "ok": true }))
        );
        assert!(obey("fault sync journal eio 0").is_err());
        assert!(obey("fault sync nowhere eio 0 1").is_err());
        assert!(obey("space much").is_err());
        obey("space 4096").expect("a number");
        let counts = json!({ "met": 0, "tried_again": 0, "free": 4096 });
        assert_eq!(obey("counts"), Ok(counts));
        switch.end();
    }
}
