//! Old receipts are removed while calls are in flight, the process is killed in the middle of it,
//! and its disk is full for a while.

use std::time::Duration;

use serde_json::Value;

use super::bend::{Bend, ENOSPC};
use super::load::{Load, numbers};
use super::{go_on_for, of};
use crate::gate::{Gate, wait_until};

const DAY: i64 = 24 * 3_600_000;

fn asked(gate: &Gate, arguments: &[&str]) -> Value {
    serde_json::from_str(&gate.says(arguments)).expect("one JSON object")
}

/// All calls ever, by the sums.
fn counted(gate: &Gate) -> Value {
    asked(gate, &["usage", "--json", "--from", "1990-01-01"])["totals"]["requests"].clone()
}

#[test]
fn under_load_killed_and_on_a_full_disk_every_sum_stays_what_it_was() {
    let Some(bend) = Bend::new() else { return };
    let mut gate = bend.gate();
    let numbers = numbers();
    for day in 0..of(10, 60) {
        bend.clock_ahead_by(day * DAY);
        let load = Load::start(gate.address(), &numbers);
        go_on_for(Duration::from_millis(60));
        load.finish();
    }
    bend.clock_ahead_by(100 * DAY);
    let load = Load::start(gate.address(), &numbers);
    let prunable = asked(&gate, &["prune", "--older-than", "60d", "--dry-run", "--json"]);
    assert_eq!(prunable["removed"], false);
    assert!(prunable["receipts"].as_u64().is_some_and(|many| many > 50), "{prunable}");
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| gate.command(&["prune", "--older-than", "60d", "--json"]));
        bend.ledger_fails_with(ENOSPC);
        go_on_for(Duration::from_millis(300));
        bend.ledger_fails_with(0);
        pruning.join().expect("it only waits");
    });
    gate.kill();
    load.finish();
    gate.start();
    let load = Load::start(gate.address(), &numbers);
    let done = asked(&gate, &["prune", "--older-than", "60d", "--json"]);
    load.finish();
    let seen = gate.standin.wait_for(|seen| seen.iter().all(|s| s.end.is_some())).len();
    // A call that was killed on its way up has a receipt as well.
    wait_until("all calls are counted", || counted(&gate).as_u64() >= Some(seen as u64));
    let before = done["before"].as_str().expect("an instant");
    let left = gate.receipts();
    assert!(left.iter().all(|receipt| receipt["started_at"].as_str() >= Some(before)));
    let verified = asked(&gate, &["doctor", "--verify", "--json"]);
    assert_eq!(verified["verified"]["wrong_sums"], 0, "{verified:#}");
    assert_eq!(verified["verified"]["receipts"], left.len(), "{verified:#}");
    let young = gate.command(&["prune", "--older-than", "3d"]);
    assert_eq!(young.status.code(), Some(1));
    println!("{seen} calls, {} receipts left, every sum as it was", left.len());
}
