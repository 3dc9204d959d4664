//! Receipts in, receipts out.

use std::time::Duration;

use meter::{Receipt, ReceiptId, Timestamp};
use store::{Demo, Filter, Ledger, Questions};

use crate::made::{START, chat, full, id};

/// Records receipts, no faster than they are written, and closes the ledger.
pub(crate) fn record(home: &std::path::Path, receipts: impl IntoIterator<Item = Receipt>) {
    const AHEAD: u64 = 2000;
    let ledger = Ledger::open(home).unwrap();
    let (changed, heard) = std::sync::mpsc::channel();
    ledger.on_changed(move || {
        let _ = changed.send(());
    });
    let (recorder, before) = (ledger.recorder(), ledger.health().recorded);
    for (sent, receipt) in (0..).zip(receipts) {
        let draft = Receipt::begun(receipt.id, receipt.started_at, "p", "https://u");
        recorder.open(&draft).finish(receipt);
        while sent > ledger.health().recorded - before + AHEAD {
            heard.recv().unwrap();
        }
    }
    ledger.close(Duration::from_secs(60));
}

#[test]
fn a_receipt_with_everything_set_comes_back_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let (everything, plain) = (full(id(0, 1)), chat(id(0, 2), 5));
    let nothing = Receipt::begun(id(0, 3), Timestamp::from_millis(START), "p", "https://u");
    record(home.path(), [everything.clone(), plain.clone(), nothing.clone()]);
    let questions = Questions::open(home.path()).unwrap();
    for receipt in [&everything, &plain, &nothing] {
        assert_eq!(questions.receipt(receipt.id).unwrap().as_ref(), Some(receipt));
    }
    let other = ReceiptId::from_parts(plain.id.ordinal(), 1);
    assert_eq!(questions.receipt(other).unwrap(), None);
    let all = questions.requests(&Filter::default(), None, 10).unwrap();
    assert_eq!(all, [nothing, plain, everything]);
    let demo = Filter { demo: Demo::Only, ..Filter::default() };
    assert_eq!(questions.requests(&demo, None, 10).unwrap(), []);
}

#[test]
fn what_ends_while_the_writer_is_held_up_for_long_finds_a_place() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let (changed, heard) = std::sync::mpsc::channel();
    ledger.on_changed(move || {
        let _ = changed.send(());
    });
    let recorder = ledger.recorder();
    let busy = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    // More than there are slots, and as many again in memory.
    const MANY: u64 = 12_000;
    for n in 0..MANY {
        let receipt = chat(id(n as i64, 0), n);
        recorder.open(&receipt).finish(receipt);
    }
    assert_eq!(ledger.health().lost, 0);
    busy.execute_batch("ROLLBACK").unwrap();
    while ledger.health().recorded < MANY && ledger.health().lost == 0 {
        heard.recv().unwrap();
    }
    assert_eq!(ledger.health().lost, 0);
    ledger.close(Duration::from_secs(60));
    let questions = Questions::open(home.path()).unwrap();
    assert_eq!(questions.count(&Filter::default()).unwrap(), MANY);
    assert!(questions.verify().unwrap().is_sound());
    assert!(!home.path().join("overflow").exists() && !home.path().join("spill").exists());
}
