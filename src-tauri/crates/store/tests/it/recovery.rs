//! What is left after a crash, a full disk, a broken file.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use meter::receipt::{RawUsage, Receipt, Status};
use meter::{ReceiptId, Timestamp};
use store::{Filter, Ledger, Questions, StoreError};

use crate::made::{START, chat, full, id};
use crate::recording::record;

const SLOT: u64 = 4096;

/// What the disk holds at this moment, in a new home: what a killed process leaves.
fn as_after_a_crash(home: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(home).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// Keeps the writer from committing for as long as it is held.
fn hold(home: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(home.join("ledger.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

fn changes(ledger: &Ledger) -> Receiver<()> {
    let (changed, heard) = channel();
    ledger.on_changed(move || {
        let _ = changed.send(());
    });
    heard
}

fn all(home: &Path) -> Vec<Receipt> {
    Questions::open(home).unwrap().requests(&Filter::default(), None, 100_000).unwrap()
}

fn draft(id: ReceiptId) -> Receipt {
    Receipt::begun(id, id.minted_at(), "openai", "https://api.openai.com")
}

#[test]
fn a_crash_leaves_finished_calls_finished_and_the_others_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let held = hold(home.path());
    let recorder = ledger.recorder();
    let (finished, running) = (chat(id(1, 0), 1), draft(id(2, 0)));
    recorder.open(&draft(finished.id)).finish(finished.clone());
    let ticket = recorder.open(&running);
    let crashed = as_after_a_crash(home.path());
    Ledger::open(crashed.path()).unwrap().close(Duration::from_secs(10));
    assert_eq!(all(crashed.path()), [running.clone(), finished.clone()]);
    assert_eq!(all(crashed.path())[0].status, Status::Interrupted);
    // Recovered again, from the same register, nothing is there twice.
    std::fs::copy(home.path().join("inflight"), crashed.path().join("inflight")).unwrap();
    Ledger::open(crashed.path()).unwrap().close(Duration::from_secs(10));
    assert_eq!(all(crashed.path()).len(), 2);
    assert!(Questions::open(crashed.path()).unwrap().verify().unwrap().is_sound());
    drop(held);
    // A request that is dropped rather than finished says what is known of it.
    drop(ticket);
    ledger.close(Duration::from_secs(10));
    assert_eq!(all(home.path()), [running, finished]);
}

#[test]
fn closing_leaves_what_is_still_under_way_to_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let ticket = ledger.recorder().open(&draft(id(0, 0)));
    ledger.close(Duration::from_secs(10));
    assert_eq!(all(home.path()), []);
    let late = chat(id(0, 0), 4);
    ticket.finish(late.clone());
    record(home.path(), []);
    assert_eq!(all(home.path()), [late]);
}

#[test]
fn torn_slots_and_garbage_are_skipped_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let held = hold(home.path());
    let recorder = ledger.recorder();
    // The first slots are used first.
    for n in 0..4_u64 {
        let receipt = chat(id(n as i64, 0), n);
        recorder.open(&draft(receipt.id)).finish(receipt);
    }
    let crashed = as_after_a_crash(home.path());
    drop((held, ledger));
    let register = std::fs::OpenOptions::new().write(true).open(crashed.path().join("inflight"));
    let register = register.unwrap();
    // Of the first, the end is torn: the draft is left. Of the second, the draft: the end is
    // left. The third is garbage through and through.
    register.write_all_at(&[0xff; 9], 1024 + 60).unwrap();
    register.write_all_at(&[0xff; 9], SLOT + 60).unwrap();
    register.write_all_at(&[0xff; SLOT as usize], 2 * SLOT).unwrap();
    let ledger = Ledger::open(crashed.path()).unwrap();
    assert_eq!(ledger.health().torn, 1);
    ledger.close(Duration::from_secs(10));
    let found: Vec<_> = all(crashed.path()).iter().rev().map(|r| (r.id, r.status)).collect();
    let want = [
        (id(0, 0), Status::Interrupted),
        (id(1, 0), Status::Succeeded),
        (id(3, 0), Status::Succeeded),
    ];
    assert_eq!(found, want);
}

#[test]
fn a_register_of_random_bytes_stops_nobody() {
    let home = tempfile::tempdir().unwrap();
    let noise: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(home.path().join("inflight"), noise).unwrap();
    record(home.path(), [chat(id(0, 0), 1)]);
    assert_eq!(all(home.path()).len(), 1);
}

#[test]
fn a_receipt_too_large_for_its_slot_is_whole_in_the_ledger_and_trimmed_after_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let held = hold(home.path());
    let mut large = full(id(0, 0));
    large.usage_raw = RawUsage::new(&format!(r#"{{"a":"{}"}}"#, "x".repeat(16_000)));
    large.error_message = Some("é".repeat(2000).into());
    large.tags = (0..40).map(|n| (format!("tag-{n}").into(), "v".repeat(90).into())).collect();
    ledger.recorder().open(&large).finish(large.clone());
    let crashed = as_after_a_crash(home.path());
    drop(held);
    ledger.close(Duration::from_secs(10));
    assert_eq!(all(home.path()), [large.clone()]);
    record(crashed.path(), []);
    let found = &all(crashed.path())[0];
    assert!(found.note.as_deref().unwrap().contains("recovered"));
    assert_eq!((found.id, found.cost, found.status), (large.id, large.cost, large.status));
    assert_eq!(found.lines, large.lines);
    assert_eq!(found.usage_raw, None);
}

#[test]
fn a_corrupt_ledger_stops_no_traffic_and_is_not_touched() {
    let home = tempfile::tempdir().unwrap();
    let garbage = b"this is no ledger ".repeat(1000);
    std::fs::write(home.path().join("ledger.db"), &garbage).unwrap();
    assert!(matches!(Ledger::open(home.path()), Err(StoreError::Unopened { .. })));
    let ledger = Ledger::open_or_degraded(home.path()).unwrap();
    let receipt = chat(id(0, 0), 1);
    ledger.recorder().open(&draft(receipt.id)).finish(receipt.clone());
    assert!(ledger.health().problem.is_some());
    assert!(matches!(ledger.passes(), Err(StoreError::Unavailable)));
    assert!(Questions::open(home.path()).is_err());
    ledger.close(Duration::from_secs(10));
    assert_eq!(std::fs::read(home.path().join("ledger.db")).unwrap(), garbage);
    // Set aside, a new ledger takes in what waited in the register.
    std::fs::rename(home.path().join("ledger.db"), home.path().join("broken")).unwrap();
    record(home.path(), []);
    assert_eq!(all(home.path()), [receipt]);
}

#[test]
fn a_corrupt_ledger_that_is_set_aside_is_replaced_while_traffic_flows() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("ledger.db"), b"this is no ledger ".repeat(1000)).unwrap();
    let ledger = Ledger::open_or_degraded(home.path()).unwrap();
    let heard = changes(&ledger);
    let receipt = chat(id(0, 0), 1);
    ledger.recorder().open(&draft(receipt.id)).finish(receipt.clone());
    std::fs::rename(home.path().join("ledger.db"), home.path().join("broken")).unwrap();
    heard.recv().unwrap();
    assert_eq!(ledger.health().problem, None);
    assert_eq!(all(home.path()), [receipt]);
}

#[test]
fn a_ledger_of_a_newer_tollgate_is_refused_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    record(home.path(), []);
    let db = rusqlite::Connection::open(home.path().join("ledger.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    for refused in [
        Ledger::open(home.path()).err(),
        Ledger::open_or_degraded(home.path()).err(),
        Questions::open(home.path()).err(),
    ] {
        let sentence = refused.unwrap().to_string();
        assert!(sentence.contains("newer Tollgate (layout 99"), "{sentence}");
        assert!(sentence.contains("hint: install the newer version"), "{sentence}");
    }
}

#[test]
fn a_home_that_cannot_be_made_use_of_counts_what_it_loses() {
    // A folder that is a file cannot hold anything, not even for root.
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("file");
    std::fs::write(&home, "").unwrap();
    assert!(matches!(Ledger::open(&home), Err(StoreError::Home { .. })));
    let ledger = Ledger::open_or_degraded(&home).unwrap();
    let recorder = ledger.recorder();
    for n in 0..5000 {
        let ticket = recorder.open(&draft(id(n, 0)));
        assert!(!ticket.is_registered());
        ticket.finish(chat(id(n, 0), n as u64));
    }
    let health = ledger.health();
    assert_eq!(health.unregistered, 5000);
    assert!(health.lost >= 5000 - 4096);
    assert!(health.problem.is_some());
}

#[test]
fn when_all_slots_are_taken_traffic_flows_and_the_count_says_so() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let recorder = ledger.recorder();
    let tickets: Vec<_> = (0..4100).map(|n| recorder.open(&draft(id(n, 0)))).collect();
    assert_eq!(ledger.health().unregistered, 4);
    assert!(!tickets[4096].is_registered());
    for (n, ticket) in (0..).zip(tickets) {
        ticket.finish(chat(id(n, 0), n as u64));
    }
    ledger.close(Duration::from_secs(30));
    assert_eq!(all(home.path()).len(), 4100);
}

#[test]
fn ids_grow_when_the_clock_is_set_back_and_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let recorder = ledger.recorder();
    let at = |ms: i64| Timestamp::from_millis(START + ms);
    let ids = [at(5000), at(5000), at(0), at(5001), at(9000)].map(|now| recorder.mint(now));
    assert!(ids.is_sorted_by(|a, b| a.ordinal() < b.ordinal()));
    let receipt = chat(ids[4], 1);
    recorder.open(&receipt).finish(receipt);
    ledger.close(Duration::from_secs(10));
    let ledger = Ledger::open(home.path()).unwrap();
    assert!(ledger.recorder().mint(at(0)).ordinal() > ids[4].ordinal());
}

#[test]
fn receipts_of_a_time_that_a_clock_lives_through_twice_have_numbers_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let recorder = ledger.recorder();
    let at = |ms: i64| Timestamp::from_millis(START + ms);
    let mut numbers = std::collections::HashSet::new();
    let mut again = 0;
    // Three hundred calls, an hour later the clock is set back, and three hundred more.
    for round in 0..2 {
        for ms in 0..300 {
            again += usize::from(!numbers.insert(recorder.mint(at(ms)).ordinal()));
        }
        assert!(round == 1 || recorder.mint(at(3_600_000)).minted_at() >= at(3_600_000));
    }
    // Twelve bits of chance: that five coincide is one in a hundred million.
    assert!(again < 5, "{again} receipts would not be recorded");
    ledger.close(Duration::from_secs(10));
}

#[test]
fn a_clock_that_was_far_ahead_does_not_date_what_comes_after() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let recorder = ledger.recorder();
    let year = 365 * 24 * 60 * 60 * 1000;
    let at = |ms: i64| Timestamp::from_millis(START + ms);
    let before = recorder.mint(at(0));
    let ahead = recorder.mint(at(year));
    let receipt = chat(ahead, 1);
    recorder.open(&receipt).finish(receipt);
    let back = [at(7), at(7), at(8)].map(|now| recorder.mint(now));
    assert!(back.map(|id| id.minted_at() < at(1000)).iter().all(|is_now| *is_now), "{back:?}");
    assert!(back.is_sorted_by(|a, b| a.ordinal() < b.ordinal()));
    assert!(before.ordinal() < back[0].ordinal());
    ledger.close(Duration::from_secs(10));
    // Whoever starts with such a receipt in the ledger, or in the register, is not led on by it.
    let ledger = Ledger::open(home.path()).unwrap();
    assert!(ledger.recorder().mint(at(9)).minted_at() < at(1000));
}
