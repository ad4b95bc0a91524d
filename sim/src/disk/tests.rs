//! The disk keeps what it promises and really loses the rest.

use leveret_storage::types::{CoreId, Generation};

use super::*;

fn journal(index: u16) -> FileName {
    FileName::Journal {
        generation: Generation(1),
        core: CoreId(0),
        index,
    }
}

fn run(disk: &mut Disk, ops: Vec<Op<SimBuf>>) -> Vec<IoResult<SimBuf>> {
    let mut results = Vec::new();
    for op in ops {
        disk.submit(Mono(0), Client(0), OpId(0), op);
        results.push(disk.complete().expect("in flight").result);
    }
    results
}

fn write(index: u16, byte: u8, durable: bool) -> Op<SimBuf> {
    Op::Write {
        file: journal(index),
        pos: 0,
        buf: vec![byte; BLOCK],
        durable,
    }
}

fn create(index: u16) -> Op<SimBuf> {
    Op::Create {
        file: journal(index),
        reserve: 0,
    }
}

/// How often each of the outcomes is seen over many seeds.
fn outcomes(prepare: impl Fn(&mut Disk), crash: Crash) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for seed in 0..200 {
        let mut disk = Disk::new(Rng::new(seed));
        run(
            &mut disk,
            vec![Op::MakeDir(Dir::Journal), Op::SyncDir(Dir::Root)],
        );
        prepare(&mut disk);
        disk.crash(crash);
        let state = match disk.peek(journal(0)) {
            None => "absent".to_owned(),
            Some([]) => "empty".to_owned(),
            Some(bytes) => {
                let mut values: Vec<u8> = bytes.to_vec();
                values.dedup();
                match values.as_slice() {
                    [one] => format!("all {one}"),
                    _ => "mixed".to_owned(),
                }
            }
        };
        *seen.entry(state).or_default() += 1;
    }
    seen
}

#[test]
fn durable_writes_and_synced_names_survive_every_crash() {
    for crash in [Crash::Kill, Crash::System, Crash::Power] {
        let seen = outcomes(
            |disk| {
                run(
                    disk,
                    vec![create(0), write(0, 7, true), Op::SyncDir(Dir::Journal)],
                );
            },
            crash,
        );
        assert_eq!(seen, BTreeMap::from([("all 7".to_owned(), 200)]));
    }
}

#[test]
fn an_unsynced_write_is_lost_kept_and_mixed() {
    let prepare = |disk: &mut Disk| {
        let name = vec![create(0), write(0, 7, true), Op::SyncDir(Dir::Journal)];
        run(disk, name);
        run(disk, vec![write(0, 9, false)]);
    };
    let seen = outcomes(prepare, Crash::Power);
    assert!(
        seen["all 7"] > 5 && seen["all 9"] > 5 && seen["mixed"] > 5,
        "{seen:?}"
    );
    let seen = outcomes(prepare, Crash::Kill);
    assert_eq!(seen, BTreeMap::from([("all 9".to_owned(), 200)]));
}

#[test]
fn a_file_sync_says_nothing_of_the_name_nor_a_directory_sync_of_the_bytes() {
    let seen = outcomes(
        |disk| {
            run(
                disk,
                vec![create(0), write(0, 7, false), Op::Sync(journal(0))],
            );
        },
        Crash::Power,
    );
    assert!(seen["absent"] > 5 && seen["all 7"] > 5, "{seen:?}");
    let seen = outcomes(
        |disk| {
            run(
                disk,
                vec![create(0), write(0, 7, false), Op::SyncDir(Dir::Journal)],
            );
        },
        Crash::Power,
    );
    assert!(
        !seen.contains_key("absent") && seen["empty"] > 5,
        "{seen:?}"
    );
}

#[test]
fn a_sync_covers_only_what_completed_before_it_was_issued() {
    let seen = outcomes(
        |disk| {
            let name = vec![create(0), write(0, 7, true), Op::SyncDir(Dir::Journal)];
            run(disk, name);
            disk.submit(Mono(0), Client(0), OpId(1), write(0, 9, false));
            disk.submit(Mono(0), Client(0), OpId(2), Op::Sync(journal(0)));
            while disk.complete().is_some() {}
        },
        Crash::Power,
    );
    assert!(seen["all 7"] > 5, "{seen:?}");
}

#[test]
fn a_write_in_flight_can_garble_what_was_durable() {
    let mut garbled = 0;
    for seed in 0..300 {
        let mut disk = Disk::new(Rng::new(seed));
        let ops = vec![
            Op::MakeDir(Dir::Journal),
            create(0),
            write(0, 7, true),
            Op::SyncAll,
        ];
        run(&mut disk, ops);
        disk.submit(Mono(0), Client(0), OpId(1), write(0, 9, true));
        disk.crash(Crash::Power);
        let bytes = disk.peek(journal(0)).expect("synced");
        garbled += u32::from(bytes.iter().any(|byte| ![7, 9].contains(byte)));
    }
    assert!(garbled > 10, "{garbled}");
}

#[test]
fn a_failed_sync_is_never_made_good_by_a_later_one() {
    let seen = outcomes(
        |disk| {
            let name = vec![create(0), write(0, 7, true), Op::SyncDir(Dir::Journal)];
            run(disk, name);
            run(disk, vec![write(0, 9, false)]);
            disk.faults.journal_errors = 1;
            assert!(run(disk, vec![Op::Sync(journal(0))])[0].is_err());
            disk.faults.journal_errors = 0;
            assert!(run(disk, vec![Op::Sync(journal(0))])[0].is_ok());
        },
        Crash::Power,
    );
    assert!(seen["all 7"] > 5, "{seen:?}");
}

#[test]
fn a_lost_removal_brings_the_file_back_and_a_lost_rename_the_old_name() {
    let prepare = |disk: &mut Disk| {
        run(
            disk,
            vec![create(0), write(0, 7, true), Op::SyncDir(Dir::Journal)],
        );
        run(disk, vec![Op::Remove(journal(0))]);
        assert!(disk.peek(journal(0)).is_none());
    };
    let seen = outcomes(prepare, Crash::Power);
    assert!(seen["absent"] > 5 && seen["all 7"] > 5, "{seen:?}");
    let prepare = |disk: &mut Disk| {
        run(
            disk,
            vec![create(1), write(1, 7, true), Op::SyncDir(Dir::Journal)],
        );
        let (from, to) = (journal(1), journal(0));
        run(disk, vec![Op::Rename { from, to }]);
        assert!(disk.peek(journal(1)).is_none());
    };
    let seen = outcomes(prepare, Crash::Power);
    assert!(seen["absent"] > 5 && seen["all 7"] > 5, "{seen:?}");
}

#[test]
fn a_full_disk_refuses_and_frees_what_is_removed() {
    let mut disk = Disk::new(Rng::new(1));
    disk.faults.capacity = Some(BLOCK as u64);
    let ops = vec![
        Op::MakeDir(Dir::Journal),
        create(0),
        create(1),
        write(0, 1, true),
    ];
    assert!(run(&mut disk, ops).iter().all(Result::is_ok));
    let full = run(&mut disk, vec![write(1, 1, true)]).remove(0);
    assert_eq!(full.expect_err("full").kind, IoErrorKind::NoSpace);
    run(
        &mut disk,
        vec![Op::Remove(journal(0)), Op::SyncDir(Dir::Journal)],
    );
    assert!(run(&mut disk, vec![write(1, 1, true)])[0].is_ok());
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_writes_in_flight_fail_the_run() {
    let mut disk = Disk::new(Rng::new(1));
    run(&mut disk, vec![Op::MakeDir(Dir::Journal), create(0)]);
    disk.submit(Mono(0), Client(0), OpId(1), write(0, 1, true));
    disk.submit(Mono(0), Client(0), OpId(2), write(0, 2, true));
}
