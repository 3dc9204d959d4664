//! The clock on the wall jumps, forth and back, and across the hour that summer time takes or
//! gives twice.

use std::time::Duration;

use serde_json::Value;

use super::bend::Bend;
use super::go_on_for;
use super::load::{Load, accounted, mixed, numbers};
use crate::gate::Gate;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

#[test]
fn jumps_and_no_receipt_or_sum_is_bent() {
    let Some(bend) = Bend::new() else { return };
    let mut gate = bend.gate();
    let numbers = numbers();
    let mut ended = Vec::new();
    let jumps = [HOUR, -HOUR, 3 * DAY, -3 * DAY, 400 * DAY, 0, -400 * DAY, 0];
    for round in 0..super::of(1, 10) {
        let load = Load::start(gate.address(), &numbers);
        for jump in jumps {
            bend.clock_ahead_by(jump);
            go_on_for(Duration::from_millis(150 + round * 10));
        }
        ended.extend(load.finish());
    }
    let receipts = accounted(&gate, "8 jumps of the clock, an hour to 400 days", &ended);
    for receipt in receipts.values() {
        let took = receipt["latency_ms"].as_u64().expect("a number");
        assert!(took < 60_000, "{receipt:#}");
    }
    // A start with a clock that was set back finds receipts from its future.
    gate.kill();
    bend.clock_ahead_by(-30 * DAY);
    gate.start();
    let load = Load::start(gate.address(), &numbers);
    go_on_for(Duration::from_millis(300));
    ended.extend(load.finish());
    accounted(&gate, "a restart with the clock set back", &ended);
}

/// The clock that is this far ahead stands at that instant now.
fn ahead_until(instant: &str) -> i64 {
    let at = meter::Timestamp::parse(instant).expect("an instant");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    at.millis() - now.as_millis() as i64
}

fn one_call(gate: &Gate, number: u64) {
    gate.send(&mixed(number)).body().expect("a whole body");
}

#[test]
fn turns_to_winter_and_summer_time_and_every_hour_is_counted_once() {
    let Some(bend) = Bend::new() else { return };
    let gate = bend.gate();
    // Berlin, 2026: 29 March has no 02:30, and 25 October has it twice.
    let (spring, autumn) = ("2026-03-28T23:30:00Z", "2026-10-24T22:30:00Z");
    let mut number = 0;
    for (night, hours) in [(spring, 23), (autumn, 25)] {
        let begin = ahead_until(night);
        for hour in 0..hours {
            bend.clock_ahead_by(begin + hour * HOUR);
            one_call(&gate, number);
            number += 1;
        }
    }
    let all: Vec<u64> = (0..number).collect();
    accounted(&gate, "two nights of changed clocks, a call an hour", &all);
    for (day, calls) in [("2026-03-29", 23), ("2026-10-25", 25)] {
        let next = format!("{day}T23:59:59");
        let asked =
            ["usage", "--json", "--tz", "Europe/Berlin", "--by", "hour", "--from", day, "--to"];
        let usage = gate.says(&[&asked[..], &[&next]].concat());
        let usage: Value = serde_json::from_str(&usage).expect("one JSON object");
        assert_eq!(usage["totals"]["requests"], calls, "{day}: {usage:#}");
        let rows = usage["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), calls as usize, "{day}: {usage:#}");
        assert!(rows.iter().all(|row| row["requests"] == 1), "{day}: {usage:#}");
    }
}
