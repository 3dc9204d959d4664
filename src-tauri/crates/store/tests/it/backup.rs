//! Copies of the ledger, and what is left after one was put back.

use std::fs;
use std::path::Path;

use meter::Timestamp;
use store::{Filter, Ledger, Questions, StoreError, backups, forget_backups, restore};

use crate::made::{chat, id};
use crate::recording::record;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn count(home: &Path) -> u64 {
    Questions::open(home).unwrap().count(&Filter::default()).unwrap()
}

fn back_up(home: &Path, folder: &Path, now: &str) {
    Questions::open(home).unwrap().back_up(folder, at(now)).unwrap().unwrap();
}

#[test]
fn a_copy_holds_what_was_recorded_before_and_keeps_nobody_from_recording() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    assert_eq!(backups(&folder, at("2026-06-01T00:00:00Z")).unwrap(), []);
    let none = Questions::open(home.path()).unwrap().back_up(&folder, at("2026-01-01T00:00:00Z"));
    assert_eq!(none.unwrap(), None);
    record(home.path(), (0..50).map(|n| chat(id(n, 0), n as u64)));
    // The writer is in the middle of something.
    let writing = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    writing.execute_batch("BEGIN IMMEDIATE; DELETE FROM receipt").unwrap();
    back_up(home.path(), &folder, "2026-01-02T03:04:05Z");
    drop(writing);
    let made = backups(&folder, at("2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].path, folder.join("ledger-20260102T030405Z.db"));
    assert_eq!(made[0].made_at, at("2026-01-02T03:04:05Z"));
    assert_eq!(made[0].bytes, fs::metadata(&made[0].path).unwrap().len());
    record(home.path(), (50..60).map(|n| chat(id(n, 0), n as u64)));
    let restored = restore(home.path(), &made[0].path, at("2026-01-03T00:00:00Z")).unwrap();
    assert_eq!((restored.receipts, count(home.path())), (50, 50));
    assert!(Questions::open(home.path()).unwrap().verify().unwrap().is_sound());
    // Nothing was removed: what came later is in the ledger that was set aside.
    let aside = restored.aside.unwrap();
    assert_eq!(store::set_aside_ledgers(home.path()).unwrap(), std::slice::from_ref(&aside));
    let again = restore(home.path(), &aside, at("2026-01-03T00:00:00Z")).unwrap();
    assert_eq!((again.receipts, count(home.path())), (60, 60));
    record(home.path(), [chat(id(60, 0), 1)]);
    assert_eq!(count(home.path()), 61);
}

#[test]
fn copies_begun_in_one_second_are_all_made_and_none_takes_anothers_part() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    record(home.path(), (0..2000).map(|n| chat(id(n, 0), n as u64)));
    let now = at("2026-01-01T00:00:00Z");
    let copy = || {
        let made = Questions::open(home.path()).unwrap().back_up(&folder, now).unwrap().unwrap();
        forget_backups(&folder, 100, now).unwrap();
        made.path
    };
    let paths = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(copy)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(paths.len(), 8, "each has a place of its own: {paths:?}");
    for path in &paths {
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(restore(elsewhere.path(), path, now).unwrap().receipts, 2000);
    }
    assert_eq!(backups(&folder, at("2026-06-01T00:00:00Z")).unwrap().len(), 8);
}

#[test]
fn only_the_newest_copies_stay_and_a_broken_off_one_goes() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    record(home.path(), [chat(id(0, 0), 0)]);
    for hour in ["01", "03", "02"] {
        back_up(home.path(), &folder, &format!("2026-01-01T{hour}:00:00Z"));
    }
    for half in ["ledger-20260101T040000Z.db.part", "ledger-20260101T040000Z.db.part-journal"] {
        fs::write(folder.join(half), "half").unwrap();
    }
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    forget_backups(&folder, 2, at("2026-06-01T00:00:00Z")).unwrap();
    let hours: Vec<_> =
        backups(&folder, at("2026-06-01T00:00:00Z")).unwrap().iter().map(|b| b.made_at).collect();
    assert_eq!(hours, [at("2026-01-01T03:00:00Z"), at("2026-01-01T02:00:00Z")]);
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.sort();
    let kept = ["ledger-20260101T020000Z.db", "ledger-20260101T030000Z.db", "lock", "notes.txt"];
    assert_eq!(names, kept);
}

#[test]
fn a_copy_of_a_clock_that_was_ahead_pushes_no_later_one_out() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    record(home.path(), [chat(id(0, 0), 0)]);
    for made in ["2027-01-01", "2028-01-01", "2026-01-01", "2026-01-02"] {
        back_up(home.path(), &folder, &format!("{made}T00:00:00Z"));
    }
    let now = at("2026-01-02T00:00:01Z");
    forget_backups(&folder, 3, now).unwrap();
    let years: Vec<_> = backups(&folder, now)
        .unwrap()
        .iter()
        .map(|b| b.made_at.to_string()[..10].to_owned())
        .collect();
    assert_eq!(years, ["2026-01-02", "2026-01-01", "2028-01-01"]);
}

#[test]
fn a_file_that_is_no_whole_ledger_does_not_take_its_place() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), (0..2000).map(|n| chat(id(n, 0), n as u64)));
    let ledger = fs::read(home.path().join("ledger.db")).unwrap();
    let refused = |bytes: &[u8]| {
        let copy = home.path().join("copy.db");
        fs::write(&copy, bytes).unwrap();
        let refused = restore(home.path(), &copy, at("2026-01-01T00:00:00Z")).unwrap_err();
        assert_eq!(fs::read(home.path().join("ledger.db")).unwrap(), ledger);
        assert_eq!(
            store::set_aside_ledgers(home.path()).unwrap(),
            Vec::<std::path::PathBuf>::new()
        );
        assert!(!home.path().join("ledger.db.restored").exists());
        refused
    };
    assert!(matches!(refused(b"no ledger at all"), StoreError::Unsound { .. }));
    assert!(matches!(refused(b""), StoreError::Unsound { .. }));
    let mut torn = ledger.clone();
    torn[3 * 4096..40 * 4096].fill(0);
    assert!(matches!(refused(&torn), StoreError::Unsound { .. } | StoreError::NotCopied { .. }));
    let mut newer = ledger.clone();
    newer[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    assert!(matches!(refused(&newer), StoreError::Newer { .. }));
    let missing = restore(home.path(), &home.path().join("nothing.db"), Timestamp::default());
    assert!(matches!(missing, Err(StoreError::Unsound { .. })));
}

#[test]
fn a_broken_ledger_with_its_log_is_set_aside_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    record(home.path(), [chat(id(0, 0), 0)]);
    back_up(home.path(), &folder, "2026-01-01T00:00:00Z");
    for (name, text) in [("ledger.db", "broken"), ("ledger.db-wal", "its log")] {
        fs::write(home.path().join(name), text).unwrap();
    }
    let copy = &backups(&folder, at("2026-06-01T00:00:00Z")).unwrap()[0].path;
    let aside = restore(home.path(), copy, at("2026-01-02T00:00:00Z")).unwrap().aside.unwrap();
    assert_eq!(fs::read_to_string(&aside).unwrap(), "broken");
    assert_eq!(aside, home.path().join("ledger.db.aside-20260102T000000Z"));
    assert!(!home.path().join("ledger.db-wal").exists());
    Ledger::open(home.path()).unwrap();
    assert_eq!(count(home.path()), 1);
}
