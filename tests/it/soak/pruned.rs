//! Old receipts are removed while calls are in flight, the process is killed in the middle of it,
//! and its disk is full for a while.

use std::time::Duration;

use serde_json::Value;

use super::bend::{Bend, ENOSPC};
use super::load::{Load, numbers};
use super::{go_on_for, of};
use crate::gate::{Gate, Setup, wait_until};

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

#[test]
fn by_the_calendar_they_go_after_a_copy_and_never_without_one() {
    let Some(bend) = Bend::new() else { return };
    let more = "[prune]\nkeep_months = 2\n[backup]\nfolder = 'copies'\n".into();
    let mut gate = bend.gate_with(Setup { more, ..Setup::default() });
    let numbers = numbers();
    let [old, seen] = [0, 90].map(|day| {
        bend.clock_ahead_by(day * DAY);
        let load = Load::start(gate.address(), &numbers);
        wait_until("calls ended", || load.ended() > 20);
        load.finish();
        let seen = gate.standin.wait_for(|seen| seen.iter().all(|s| s.end.is_some())).len();
        wait_until("all calls are counted", || counted(&gate).as_u64() == Some(seen as u64));
        seen
    });
    let restart = |gate: &mut Gate| {
        gate.ask_to_stop();
        gate.ended();
        gate.start();
    };
    let copies = gate.home().join("copies");
    // The first start found nothing to copy. Where none can be made, nothing goes.
    std::fs::write(&copies, "in the way").expect("writable");
    restart(&mut gate);
    wait_until("it is told", || gate.printed().contains("no new copy of the ledger"));
    assert_eq!(gate.receipts().len(), seen);
    std::fs::remove_file(&copies).expect("it is there");
    restart(&mut gate);
    wait_until("the first day's receipts are gone", || gate.receipts().len() == seen - old);
    let left = std::fs::read_dir(&copies).expect("it was made").count();
    assert_eq!(left, 2, "one copy and the folder's lock");
    assert_eq!(counted(&gate), seen, "sums stay");
    gate.says(&["doctor", "--verify"]);
}
