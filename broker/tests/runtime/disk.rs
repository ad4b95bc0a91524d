//! Disk operations against real files, and what keeps a broker from starting.

use std::sync::mpsc;

use leveret_broker::runtime::{CoreSetup, RuntimeError, StopHandle, TrueLevel, run};
use leveret_storage::io::{BufPool, Dir, FileName, IoErrorKind, Op};
use leveret_storage::types::{CoreId, Generation, LogId, Ordinal};

use super::boot::{Outcome, Script, Step};
use super::toy::Toy;
use super::{Broker, TestDir, config, up_to};

/// Runs the steps on a bootstrap that then refuses, so that the broker ends by itself.
fn outcomes(dir: &TestDir, steps: Vec<Step>) -> Vec<Outcome> {
    let (tell, told) = mpsc::channel();
    let stop = StopHandle::new().unwrap();
    let make = |setup| Script::new(setup, steps, tell).failing("enough");
    let ended = run(
        &config(dir, 2),
        &stop,
        make,
        Toy::new,
        |_| Ok(()),
        |_| panic!("never ready"),
    );
    match ended {
        Err(RuntimeError::Bootstrap(line)) => assert_eq!(line, "enough"),
        other => panic!("{other:?}"),
    }
    // The first step makes the journal directory.
    told.iter().skip(1).collect()
}

fn journal(index: u16) -> FileName {
    FileName::Journal {
        generation: Generation(1),
        core: CoreId(0),
        index,
    }
}

fn step<F>(make: F) -> Step
where
    F: FnOnce() -> Op<leveret_broker::runtime::DmaBuf> + Send + 'static,
{
    Box::new(move |_| make())
}

fn write(file: FileName, pos: u64, len: usize, fill: u8, durable: bool) -> Step {
    Box::new(move |pool| {
        let mut buf = pool.alloc(len);
        buf.as_mut().fill(fill);
        Op::Write {
            file,
            pos,
            buf,
            durable,
        }
    })
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8(outcome.clone().expect("success")).unwrap()
}

#[test]
fn a_file_lives_through_every_operation() {
    let dir = TestDir::new("ops");
    let (one, two) = (journal(1), journal(2));
    let got = outcomes(
        &dir,
        vec![
            step(move || Op::Create {
                file: one,
                reserve: 1 << 20,
            }),
            step(move || Op::Len(one)),
            write(one, 0, 4096, 1, true),
            write(one, 4096, 300 * 4096, 2, false),
            step(move || Op::Sync(one)),
            step(move || Op::SyncDir(Dir::Journal)),
            step(move || Op::Len(one)),
            step(move || Op::Read {
                file: one,
                pos: 4096,
                len: 8192,
            }),
            step(move || Op::Read {
                file: one,
                pos: 300 * 4096,
                len: 64 * 1024,
            }),
            step(move || Op::Read {
                file: one,
                pos: 400 * 4096,
                len: 4096,
            }),
            step(move || Op::Rename { from: one, to: two }),
            step(move || Op::Len(one)),
            // Descriptors opened under the old name must not be used for it any more.
            step(move || Op::Create {
                file: one,
                reserve: 0,
            }),
            write(one, 0, 4096, 9, true),
            step(move || Op::Read {
                file: two,
                pos: 0,
                len: 4096,
            }),
            step(move || Op::Read {
                file: one,
                pos: 0,
                len: 4096,
            }),
            step(move || Op::List(Dir::Journal)),
            step(move || Op::Remove(one)),
            step(move || Op::Remove(one)),
            step(move || Op::SyncAll),
            step(|| Op::FreeSpace { claim: 0 }),
            step(|| Op::List(Dir::Log(LogId(7)))),
            step(|| Op::RemoveDir(Dir::Logs)),
        ],
    );
    assert_eq!(text(&got[1]), "Some(0)", "reserving does not lengthen");
    assert_eq!(text(&got[6]), format!("Some({})", 301 * 4096));
    assert_eq!(got[7], Ok(vec![2; 8192]));
    assert_eq!(got[8], Ok(vec![2; 4096]), "shorter at the end");
    assert_eq!(got[9], Ok(Vec::new()), "nothing behind the end");
    assert_eq!(text(&got[11]), "None");
    assert_eq!(got[14], Ok(vec![1; 4096]));
    assert_eq!(got[15], Ok(vec![9; 4096]));
    let names = [(one.name(), 4096u64), (two.name(), 301 * 4096)];
    assert_eq!(text(&got[16]), format!("{names:?}"));
    assert!(text(&got[20]).parse::<u64>().unwrap() > 0);
    assert_eq!(
        text(&got[21]),
        "[]",
        "a directory that is not there is empty"
    );
    assert!(got.iter().all(Result::is_ok), "{got:?}");
}

#[test]
fn failures_name_their_kind_and_path() {
    let dir = TestDir::new("failures");
    let file = journal(1);
    let segment = FileName::Segment {
        log: LogId(3),
        base: Ordinal(0),
        generation: Generation(1),
    };
    let got = outcomes(
        &dir,
        vec![
            step(move || Op::Create { file, reserve: 0 }),
            step(move || Op::Create { file, reserve: 0 }),
            step(|| Op::Read {
                file: journal(2),
                pos: 0,
                len: 4096,
            }),
            write(journal(2), 0, 4096, 1, false),
            step(move || Op::Create {
                file: segment,
                reserve: 0,
            }),
            step(move || Op::Rename {
                from: journal(3),
                to: file,
            }),
            step(|| Op::SyncDir(Dir::Logs)),
            // Larger than any file system here: the reservation fails and leaves nothing.
            step(|| Op::Create {
                file: journal(4),
                reserve: 1 << 50,
            }),
            step(|| Op::Len(journal(4))),
            step(|| Op::MakeDir(Dir::Journal)),
        ],
    );
    let kind = |n: usize| got[n].as_ref().expect_err("a failure").kind;
    assert_eq!(kind(1), IoErrorKind::Exists);
    for n in [2, 3, 4, 5, 6] {
        assert_eq!(kind(n), IoErrorKind::NotFound, "{n}");
    }
    let message = &got[2].as_ref().unwrap_err().message;
    assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
    assert!(message.contains(&journal(2).name()), "{message}");
    assert!(got[7].is_err());
    assert_eq!(text(&got[8]), "None");
    assert!(got[9].is_ok(), "it exists already");
}

#[test]
fn a_length_given_ahead_holds_zeroes_and_can_be_given_back() {
    let dir = TestDir::new("length");
    let file = journal(1);
    let at = move |pos, len| step(move || Op::Read { file, pos, len });
    let got = outcomes(
        &dir,
        vec![
            step(move || Op::Resize { file, len: 8192 }),
            step(move || Op::Create { file, reserve: 0 }),
            step(move || Op::Resize { file, len: 1 << 20 }),
            step(move || Op::Len(file)),
            write(file, 4096, 4096, 7, true),
            at(0, 12288),
            step(move || Op::Resize { file, len: 8192 }),
            step(move || Op::Len(file)),
            at(4096, 8192),
            // No file system here has so much: it fails and changes nothing.
            step(move || Op::Resize { file, len: 1 << 50 }),
            step(move || Op::Len(file)),
        ],
    );
    assert_eq!(
        got[0].as_ref().expect_err("no file").kind,
        IoErrorKind::NotFound
    );
    assert_eq!(text(&got[3]), "Some(1048576)");
    let read = got[5].clone().expect("success");
    assert_eq!(read, [vec![0; 4096], vec![7; 4096], vec![0; 4096]].concat());
    assert_eq!(text(&got[7]), "Some(8192)");
    assert_eq!(got[8].clone().expect("success"), vec![7; 4096]);
    assert!(got[9].is_err());
    assert_eq!(text(&got[10]), "Some(8192)");
}

#[test]
fn more_files_than_may_be_open_take_turns() {
    let dir = TestDir::new("files");
    let mut steps = Vec::new();
    let count = 1500;
    for index in 0..count {
        steps.push(step(move || Op::Create {
            file: journal(index),
            reserve: 0,
        }));
        steps.push(write(
            journal(index),
            0,
            4096,
            u8::try_from(index % 251).unwrap(),
            false,
        ));
    }
    for index in 0..count {
        steps.push(step(move || Op::Read {
            file: journal(index),
            pos: 0,
            len: 4096,
        }));
    }
    let got = outcomes(&dir, steps);
    for (index, outcome) in got[2 * usize::from(count)..].iter().enumerate() {
        assert_eq!(*outcome, Ok(vec![u8::try_from(index % 251).unwrap(); 4096]));
    }
}

#[test]
fn a_second_broker_on_the_directory_or_the_port_is_refused() {
    let dir = TestDir::new("second");
    let other = TestDir::new("second-other");
    let broker = Broker::start(config(&dir, 1));
    let start = |config: leveret_broker::runtime::RuntimeConfig| {
        let (tell, _told) = mpsc::channel();
        let make = |setup| Script::new(setup, Vec::new(), tell);
        let stop = StopHandle::new().unwrap();
        run(
            &config,
            &stop,
            make,
            Toy::new,
            |_| Ok(()),
            |_| panic!("never ready"),
        )
        .unwrap_err()
    };
    let same_dir = start(config(&dir, 1)).to_string();
    assert!(same_dir.contains("another broker"), "{same_dir}");
    let mut same_port = config(&other, 1);
    same_port.listeners[0].addr = broker.addr();
    let same_port = start(same_port).to_string();
    for part in ["native", &broker.addr().to_string(), "--native"] {
        assert!(same_port.contains(part), "{same_port}");
    }
    broker.stop();
}

#[test]
fn a_core_that_cannot_be_made_ends_the_others_too() {
    let dir = TestDir::new("unmade");
    let (tell, _told) = mpsc::channel();
    let make = |setup| Script::new(setup, Vec::new(), tell);
    let stop = StopHandle::new().unwrap();
    let last = CoreId(u16::try_from(up_to(2) - 1).unwrap());
    let core = |setup: CoreSetup<()>| match setup.core {
        id if id == last => Err("cannot be".to_owned()),
        _ => Toy::new(setup),
    };
    match run(&config(&dir, 2), &stop, make, core, |_| Ok(()), |_| {}) {
        Err(RuntimeError::Bootstrap(line)) => assert_eq!(line, "cannot be"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_backed_directories_are_told_apart() {
    let shm = std::path::Path::new("/dev/shm");
    let disk = TestDir::new("level");
    let broker = Broker::start(config(&disk, 1));
    let level = broker.ready.medium.level;
    broker.stop();
    if !shm.is_dir() {
        return;
    }
    let dir = shm.join(format!("leveret-level-{}", std::process::id()));
    let mut on_shm = config(&disk, 1);
    on_shm.data = dir.clone();
    let broker = Broker::start(on_shm.clone());
    assert_eq!(broker.ready.medium.level, TrueLevel::PageCache);
    assert_ne!(
        level,
        TrueLevel::PageCache,
        "the build directory is on a disk"
    );
    broker.stop();
    on_shm.require_direct_io = true;
    let (tell, _told) = mpsc::channel();
    let make = |setup| Script::new(setup, Vec::new(), tell);
    let stop = StopHandle::new().unwrap();
    let refused = run(
        &on_shm,
        &stop,
        make,
        Toy::new,
        |_| Ok(()),
        |_| panic!("never ready"),
    );
    assert!(
        matches!(refused, Err(RuntimeError::NotDurable { .. })),
        "{refused:?}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_start_of_very_many_steps_comes_to_its_end() {
    let dir = TestDir::new("steps");
    // Each goes through glommio's helper thread, and nothing else wakes the core.
    let steps = (0..20_000).map(|_| step(|| Op::MakeDir(Dir::Journal)));
    let all = outcomes(&dir, steps.collect());
    assert_eq!(all.len(), 20_000);
    assert!(all.iter().all(Result::is_ok));
}
