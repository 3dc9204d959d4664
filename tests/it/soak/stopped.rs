//! The process stands still for a while (SIGSTOP), as under a debugger, a full machine or a lid
//! that was closed, and goes on.

use std::process::Command;
use std::time::Duration;

use super::bend::Bend;
use super::load::{Load, accounted, numbers};
use super::{go_on_for, of};
use crate::gate::Gate;

fn signal(gate: &Gate, signal: &str) {
    let status = Command::new("kill").args([signal, &gate.pid().to_string()]).status();
    assert!(status.expect("kill exists").success());
}

#[test]
fn and_continued_it_owes_nobody_a_receipt() {
    let rounds = of(5, 60);
    let gate = Gate::open();
    let numbers = numbers();
    let load = Load::start(gate.address(), &numbers);
    for round in 0..rounds {
        go_on_for(Duration::from_millis(20 + round * 7919 % 380));
        signal(&gate, "-STOP");
        go_on_for(Duration::from_millis(of(100, 500)));
        signal(&gate, "-CONT");
    }
    let ended = load.finish();
    assert!(!ended.is_empty());
    accounted(&gate, &format!("{rounds} stops"), &ended);
}

#[test]
fn and_woken_hours_later_it_goes_on_where_it_was() {
    let Some(bend) = Bend::new() else { return };
    let gate = bend.gate();
    let numbers = numbers();
    let load = Load::start(gate.address(), &numbers);
    let hour = 3_600_000;
    for slept in [hour, 9 * hour, 60 * hour] {
        go_on_for(Duration::from_millis(200));
        signal(&gate, "-STOP");
        go_on_for(of(Duration::from_millis(200), Duration::from_secs(60)));
        bend.clock_ahead_by(slept);
        signal(&gate, "-CONT");
        go_on_for(Duration::from_millis(200));
    }
    let ended = load.finish();
    let receipts = accounted(&gate, "3 suspensions of up to 60 hours", &ended);
    // The clock on the wall moved on; how long calls took is told by another clock.
    for receipt in receipts.values() {
        let took = receipt["latency_ms"].as_u64().expect("a number");
        assert!(took < 300_000, "{receipt:#}");
    }
}
