//! Somebody spoils the ledger's file under a running Tollgate: bytes in the middle are turned,
//! the file is deleted, another one is put into its place.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::load::{Load, accounted, numbers};
use super::{go_on_for, of};
use crate::gate::{Gate, wait_until};

#[test]
fn deleted_while_it_is_written_comes_back_whole() {
    let gate = Gate::open();
    let (numbers, mut ended) = (numbers(), Vec::new());
    for round in 0..of(2, 20) {
        let load = Load::start(gate.address(), &numbers);
        go_on_for(Duration::from_millis(200));
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            // Every other time its log is left behind.
            if round % 2 == 0 || name == "ledger.db" {
                let _ = fs::remove_file(gate.home().join(name));
            }
        }
        go_on_for(Duration::from_millis(200));
        ended.extend(load.finish());
        accounted(&gate, "a ledger deleted under load", &ended);
    }
}

#[test]
fn with_a_corrupt_page_stops_no_traffic_and_is_put_back_by_one_command() {
    let mut gate = Gate::open();
    let (numbers, mut ended) = (numbers(), Vec::new());
    let load = Load::start(gate.address(), &numbers);
    wait_until("there is something to spoil", || load.ended() > 200);
    ended.extend(load.finish());
    let before = accounted(&gate, "before", &ended).len();
    gate.says(&["backup"]);
    gate.ask_to_stop();
    gate.ended();
    let ledger = gate.home().join("ledger.db");
    let spoilt = OpenOptions::new().write(true).open(&ledger).expect("ours");
    let length = spoilt.metadata().expect("it is there").len();
    let pages = length / 4096;
    for page in pages / 3..pages * 2 / 3 {
        spoilt.write_all_at(&[0xa5; 4000], page * 4096 + 64).expect("writable");
    }
    gate.start();
    let load = Load::start(gate.address(), &numbers);
    wait_until("traffic flows", || load.ended() > 50);
    ended.extend(load.finish());
    let found = gate.command(&["doctor", "--verify"]);
    assert_eq!(found.status.code(), Some(1), "the doctor sees it");
    let way_out = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(way_out.contains("tollgate restore"), "{way_out}");
    gate.ask_to_stop();
    gate.ended();
    let restored = gate.says(&["restore", "--merge", "--json"]);
    let restored: serde_json::Value = serde_json::from_str(&restored).expect("one JSON object");
    assert_eq!(restored["receipts"], before, "{restored:#}");
    assert_eq!(restored["merged"], true, "{restored:#}");
    gate.start();
    let after = accounted(&gate, "after it was put back", &ended).len();
    println!(
        "corrupt pages: {before} receipts before, {} calls ended, {after} there in the end; {}",
        ended.len(),
        restored["missing"]
    );
}
