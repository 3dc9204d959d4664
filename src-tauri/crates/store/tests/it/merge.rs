//! What a ledger that was set aside has and the restored one has not.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meter::receipt::{Receipt, Settlement, Status};
use meter::{Money, Timestamp};
use store::{Filter, Ledger, Missing, Questions, Settled, restore};

use crate::made::{START, chat, full, id};
use crate::recording::record;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(days: i64) -> Timestamp {
    Timestamp::from_millis(START + days * DAY)
}

fn open(home: &Path) -> Questions {
    Questions::open(home).unwrap()
}

fn all(home: &Path) -> Vec<Receipt> {
    open(home).requests_after(&Filter::default(), None, 100_000).unwrap()
}

fn outcome() -> Settlement {
    let mut settlement = full(id(0, 0)).settlements.remove(0);
    (settlement.status, settlement.reason) = (Some(Status::Succeeded), "job".into());
    settlement
}

fn settle(home: &Path) -> Settled {
    let ledger = Ledger::open(home).unwrap();
    let settled = ledger.settle("openai", "resp_1", outcome()).unwrap();
    ledger.close(Duration::from_secs(10));
    settled
}

/// Puts a copy back that was made before `later`; where the ledger with all is.
fn restored(home: &Path, later: impl FnOnce()) -> PathBuf {
    let copy = home.join("copy.db");
    open(home).back_up_to(&copy).unwrap();
    later();
    restore(home, &copy, at(0)).unwrap().aside.unwrap()
}

fn merge(home: &Path, other: &Path) -> Missing {
    let ledger = Ledger::open(home).unwrap();
    let merged = ledger.merge(&open(home), other).unwrap();
    ledger.close(Duration::from_secs(10));
    merged
}

#[test]
fn merged_with_what_was_set_aside_a_copy_is_the_ledger_that_was_lost() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut job = chat(id(1, 1), 1);
    (job.status, job.response_id) = (Status::Pending, Some("resp_1".into()));
    record(home, (0..300).map(|n| chat(id(n * 1000, 0), n as u64)).chain([job]));
    let mut want = (Vec::new(), None, Vec::new());
    let aside = restored(home, || {
        let later = (300..1500).map(|n| chat(id(n * 1000, 0), n as u64));
        // One that began before the copy was made and ended after it, and one with everything.
        let mut unknown = chat(id(5, 7), 9);
        (unknown.cost, unknown.reserved) = (None, Some(Money::from_attos(77)));
        record(home, later.chain([unknown, full(id(2_000_000, 1))]));
        assert!(matches!(settle(home), Settled::Receipt(_)));
        let usage = open(home).usage(&Filter::default(), None, None).unwrap();
        want = (all(home), Some(usage), open(home).reserved(&Filter::default()).unwrap());
    });
    assert_eq!(all(home).len(), 301);
    let newest = Some(full(id(2_000_000, 1)).started_at);
    let missing = Missing { receipts: 1202, newest, settlements: 1, ..Missing::default() };
    assert_eq!(open(home).missing(&aside).unwrap(), missing);
    assert_eq!(merge(home, &aside), missing);
    let usage = open(home).usage(&Filter::default(), None, None).unwrap();
    let reserved = open(home).reserved(&Filter::default()).unwrap();
    assert_eq!((all(home), Some(usage), reserved), want);
    assert!(open(home).verify().unwrap().is_sound());
    assert_eq!(merge(home, &aside), Missing::default(), "nothing twice");
    assert_eq!(settle(home), Settled::Nothing, "the job is over");
}

#[test]
fn of_a_damaged_ledger_everything_is_taken_but_what_is_damaged() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    record(home, [chat(id(0, 0), 0)]);
    let aside = restored(home, || record(home, (1..4000).map(|n| chat(id(n * 777, 0), n as u64))));
    let original = tempfile::tempdir().unwrap();
    fs::copy(&aside, original.path().join("ledger.db")).unwrap();
    // Three pages of the receipts' own table, apart from each other.
    let db = rusqlite::Connection::open(&aside).unwrap();
    let leaf = |ordinal: i64| -> i64 {
        let detail: Vec<u8> = db
            .query_row("SELECT detail FROM receipt WHERE ordinal = ?1", [ordinal], |r| r.get(0))
            .unwrap();
        let bytes = fs::read(&aside).unwrap();
        let found = bytes.windows(detail.len()).position(|window| window == detail).unwrap();
        found as i64 / 4096
    };
    let pages: Vec<i64> = [500, 1500, 3500].map(|n| leaf(id(n * 777, 0).ordinal())).into();
    drop(db);
    let spoilt = OpenOptions::new().write(true).open(&aside).unwrap();
    for page in pages {
        spoilt.write_all_at(&[0xa5; 4096], page.unsigned_abs() * 4096).unwrap();
    }
    let merged = merge(home, &aside);
    assert_eq!(merged.unreadable, 3, "{merged:?}");
    assert!(merged.receipts > 3999 - 3 * 60 && merged.receipts < 3999 - 3, "{merged:?}");
    let known = open(original.path());
    for receipt in all(home) {
        assert_eq!(known.receipt(receipt.id).unwrap().as_ref(), Some(&receipt));
    }
    assert_eq!(all(home).len() as u64, 1 + merged.receipts);
    assert!(open(home).verify().unwrap().is_sound());
    let ruined = home.join("ruined.db");
    fs::write(&ruined, vec![b'x'; 40_000]).unwrap();
    assert!(open(home).missing(&ruined).is_err());
}

#[test]
fn receipts_that_were_pruned_here_do_not_count_twice() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    record(home, (0..480).map(|n| chat(id(n * DAY / 4, 0), n as u64)));
    let whole = home.join("whole.db");
    open(home).back_up_to(&whole).unwrap();
    let ledger = Ledger::open(home).unwrap();
    ledger.prune(at(60), at(120)).unwrap();
    ledger.close(Duration::from_secs(10));
    let before = open(home).usage(&Filter::default(), None, None).unwrap();
    let merged = merge(home, &whole);
    assert_eq!(merged, Missing { pruned: 240, ..Missing::default() });
    assert_eq!(open(home).usage(&Filter::default(), None, None).unwrap(), before);
}
