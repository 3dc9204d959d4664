//! A week of use in a minute: the clock is turned on from hour to hour while calls are made, the
//! process is restarted every night, and twice it dies.

use std::time::Duration;

use serde_json::Value;

use super::bend::Bend;
use super::load::{Load, accounted, numbers};
use super::{go_on_for, of};

const HOUR: i64 = 3_600_000;

#[test]
fn compressed_is_summed_up_to_the_day() {
    let Some(bend) = Bend::new() else { return };
    let mut gate = bend.gate();
    let (numbers, mut ended) = (numbers(), Vec::new());
    for day in 0..7 {
        for hour in (0..24).step_by(of(6, 1)) {
            bend.clock_ahead_by((day * 24 + hour as i64) * HOUR);
            let load = Load::start(gate.address(), &numbers);
            go_on_for(Duration::from_millis(60));
            ended.extend(load.finish());
        }
        match day {
            2 | 5 => gate.kill(),
            _ => {
                gate.ask_to_stop();
                gate.ended();
            }
        }
        gate.start();
    }
    let receipts = accounted(&gate, "a week of hours, 5 restarts, 2 kills", &ended);
    let days = receipts.values().filter_map(|receipt| Some(&receipt["started_at"].as_str()?[..10]));
    let (from, to) = (days.clone().min().expect("calls"), days.clone().max().expect("calls"));
    let to = format!("{to}T23:59:59");
    let asked = ["usage", "--json", "--tz", "UTC", "--by", "day", "--from", from, "--to", &to];
    let usage: Value = serde_json::from_str(&gate.says(&asked)).expect("one JSON object");
    let rows = usage["rows"].as_array().expect("rows");
    assert!(rows.len() >= 7, "{usage:#}");
    for row in rows {
        let day = row["name"].as_str().expect("a day");
        let calls = days.clone().filter(|other| *other == day).count();
        assert_eq!(row["requests"], calls, "{day}: {row:#}");
    }
}
