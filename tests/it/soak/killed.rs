//! `kill -9` at moments of no choice.

use std::thread;
use std::time::Duration;

use super::load::{Load, accounted, numbers};
use super::of;
use crate::gate::Gate;

#[test]
fn under_load_every_request_upstream_saw_has_one_receipt() {
    let rounds = of(20, 100);
    let mut gate = Gate::open();
    let (numbers, mut ended) = (numbers(), Vec::new());
    for round in 0..rounds {
        let load = Load::start(gate.address(), &numbers);
        // Not waiting for anything, but choosing a moment: 20 to 400 ms, never the same twice.
        thread::sleep(Duration::from_millis(20 + round * 7919 % 380));
        gate.kill();
        ended.extend(load.finish());
        gate.start();
    }
    accounted(&gate, &format!("{rounds} kills"), &ended);
}
