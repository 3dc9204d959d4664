//! A full disk, played by a ledger that may not grow: seen from inside, because the limit
//! is one of the writer's own connection.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use meter::{Receipt, ReceiptId, Timestamp};

use crate::books::Books;
use crate::{Filter, Ledger, Questions};

fn receipt(n: u64) -> Receipt {
    let at = Timestamp::from_millis(1_763_692_800_000 + n as i64);
    Receipt::begun(ReceiptId::new(at, 0, n), at, "openai", "https://api.openai.com")
}

fn record(ledger: &Ledger, numbers: std::ops::Range<u64>) {
    let recorder = ledger.recorder();
    for receipt in numbers.map(receipt) {
        recorder.open(&receipt).finish(receipt);
    }
}

/// Lets the ledger's file grow to so many pages and no further, as a full disk would.
fn limit_pages(ledger: &Ledger, most: u32) {
    let limit =
        move |books: &mut Books| Ok(books.db.pragma_update(None, "max_page_count", most)?);
    ledger.write(limit).unwrap();
}

fn recorded(home: &Path) -> u64 {
    Questions::open(home).unwrap().count(&Filter::default()).unwrap()
}

#[test]
fn a_full_disk_loses_nothing_and_is_over_when_it_is_over() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let (changed, heard) = channel();
    ledger.on_changed(move || {
        let _ = changed.send(());
    });
    limit_pages(&ledger, 1);
    record(&ledger, 0..5000);
    while ledger.health().spilled == 0 {
        std::thread::yield_now();
    }
    let health = ledger.health();
    assert!(health.problem.unwrap().contains("full"));
    // A few may have found room in the pages there were.
    assert!(health.recorded < 5000, "{}", health.recorded);
    assert_eq!(health.lost, 0);
    limit_pages(&ledger, u32::MAX - 1);
    while ledger.health().recorded < 5000 {
        heard.recv().unwrap();
    }
    let health = ledger.health();
    assert_eq!((health.problem, health.waiting, health.spilled), (None, 0, 0));
    assert!(!home.path().join("spill").exists());
    ledger.close(Duration::from_secs(10));
    assert_eq!(recorded(home.path()), 5000);
    assert!(Questions::open(home.path()).unwrap().verify().unwrap().is_sound());
}

#[test]
fn what_was_spilled_is_recorded_by_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    limit_pages(&ledger, 1);
    record(&ledger, 0..4500);
    ledger.close(Duration::from_secs(10));
    let first = recorded(home.path());
    assert!(first < 4500, "{first}");
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.health().recorded, 4500 - first);
    ledger.close(Duration::from_secs(10));
    assert_eq!(recorded(home.path()), 4500);
}
