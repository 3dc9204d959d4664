//! The ledger's disk is slow, full, read-only or broken for a while, under load.

use std::time::Duration;

use standin::client::Call;

use super::bend::{Bend, EIO, ENOSPC, EROFS};
use super::load::{Load, accounted, numbers};
use super::{go_on_for, of};
use crate::gate::{Gate, wait_until};

/// How well recording does, in Tollgate's own words.
fn health(gate: &Gate) -> serde_json::Value {
    gate.send(&Call::get("/healthz")).json().expect("JSON")
}

/// The ledger cannot be written for a while, and calls end meanwhile; in the middle of it the
/// process is killed and begins again with a disk that is still so.
fn refuses(error: i64, what: &str) {
    let Some(bend) = Bend::new() else { return };
    let mut gate = bend.gate();
    let (numbers, mut ended) = (numbers(), Vec::new());
    for _ in 0..of(1, 10) {
        let load = Load::start(gate.address(), &numbers);
        go_on_for(Duration::from_millis(100));
        bend.ledger_fails_with(error);
        wait_until("the trouble is told", || gate.printed().contains("cannot be written"));
        let before = load.ended();
        wait_until("calls end all the same", || load.ended() > before + 20);
        assert!(health(&gate)["waiting"].as_u64().is_some_and(|waiting| waiting > 0));
        gate.kill();
        ended.extend(load.finish());
        gate.start();
        let load = Load::start(gate.address(), &numbers);
        wait_until("calls end with it from the start", || load.ended() > 20);
        ended.extend(load.finish());
        bend.ledger_fails_with(0);
        accounted(&gate, what, &ended);
    }
}

#[test]
fn full_delays_receipts_and_loses_none() {
    refuses(ENOSPC, "a full disk, and a kill while it was");
}

#[test]
fn read_only_delays_receipts_and_loses_none() {
    refuses(EROFS, "a read-only ledger, and a kill while it was");
}

#[test]
fn broken_for_a_while_delays_receipts_and_loses_none() {
    refuses(EIO, "a disk that fails, and a kill while it did");
}

#[test]
fn slow_makes_no_call_wait() {
    let Some(bend) = Bend::new() else { return };
    let gate = bend.gate();
    let numbers = numbers();
    // Each write takes a fifth of a second; a commit is several, and calls take none of it.
    bend.ledger_slower_by_us(200_000);
    let load = Load::start(gate.address(), &numbers);
    go_on_for(of(Duration::from_secs(2), Duration::from_secs(120)));
    let ended = load.finish();
    let waiting = health(&gate)["waiting"].as_u64();
    bend.ledger_slower_by_us(0);
    let receipts = accounted(&gate, "a disk that takes 200 ms a write", &ended);
    println!("{waiting:?} receipts waited at the end");
    // A call that had waited for a commit would have taken longer than any of these.
    let slow = receipts.values().filter(|r| r["overhead_us"].as_u64() >= Some(200_000)).count();
    assert_eq!(slow, 0, "calls waited for the disk");
}
