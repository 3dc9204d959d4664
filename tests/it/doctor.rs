//! What is broken about a home, `tollgate doctor` finds, explains and knows a way out of.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, wait_until};

/// Five calls in the ledger, and nobody who runs.
fn closed() -> Gate {
    let mut gate = Gate::open();
    let body = json!({"model": "standin", "max_tokens": 64, "messages": []});
    for _ in 0..5 {
        let call = Call::post("/v1/messages", &body).header("x-api-key", "planted");
        assert_eq!(gate.send(&call).status(), 200);
    }
    gate.receipts_of(5);
    gate.ask_to_stop();
    gate.ended();
    gate
}

fn change(gate: &Gate, sql: &str) {
    let db = rusqlite::Connection::open(gate.home().join("ledger.db")).expect("it opens");
    db.execute_batch(sql).expect("it can be changed");
}

/// What the doctor found, and the way out that he named.
fn ill(gate: &Gate, arguments: &[&str]) -> (Value, String) {
    let output = gate.command(&[&["doctor", "--json"], arguments].concat());
    let way_out = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{way_out}");
    (serde_json::from_slice(&output.stdout).expect("one JSON object"), way_out)
}

fn well(gate: &Gate) -> Value {
    serde_json::from_str(&gate.says(&["doctor", "--verify", "--json"])).expect("one JSON object")
}

#[test]
fn wrong_sums_and_indexes_are_found_and_made_anew_from_the_receipts() {
    let mut gate = closed();
    for (harm, missing, wrong) in [
        ("UPDATE rollup SET requests = requests + 1", json!([]), true),
        ("DELETE FROM rollup; DELETE FROM sealed_rollup", json!([]), true),
        ("DROP INDEX receipt_of_lane", json!(["receipt_of_lane"]), false),
    ] {
        change(&gate, harm);
        let (found, way_out) = ill(&gate, &["--verify"]);
        assert_eq!(found["verified"]["missing"], missing, "{harm}");
        assert_eq!(found["verified"]["wrong_sums"] != 0, wrong, "{harm}: {found:#}");
        assert!(way_out.contains("tollgate doctor --rebuild"), "{way_out}");
        gate.says(&["doctor", "--rebuild"]);
        assert_eq!(well(&gate)["verified"]["receipts"], 5);
    }
    gate.start();
    let refused = gate.command(&["doctor", "--rebuild"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a running Tollgate"));
    gate.receipts_of(5);
}

#[test]
fn a_ledger_that_lost_a_table_or_all_it_had_is_to_be_restored() {
    let mut gate = closed();
    let ledger = gate.home().join("ledger.db");
    gate.says(&["backup"]);
    change(&gate, "DROP TABLE settlement");
    let (found, _) = ill(&gate, &["--verify"]);
    assert_eq!(found["verified"]["missing"], json!(["settlement"]));
    fs::write(&ledger, "").expect("writable");
    let (found, way_out) = ill(&gate, &[]);
    assert!(found["ledger_problem"].as_str().is_some_and(|why| why.contains("empty")), "{found:#}");
    assert!(way_out.contains("tollgate restore"), "{way_out}");
    gate.says(&["restore"]);
    assert_eq!(well(&gate)["verified"]["receipts"], 5);
    gate.start();
    gate.receipts_of(5);
}

#[test]
fn what_others_may_read_is_told_with_the_command_that_ends_it() {
    let gate = closed();
    let allow = |path: PathBuf, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    };
    allow(gate.home().into(), 0o700);
    allow(gate.home().join("ledger.db"), 0o644);
    well(&gate);
    allow(gate.home().into(), 0o755);
    let (found, way_out) = ill(&gate, &[]);
    assert!(found["troubles"][0]["what"].as_str().is_some_and(|what| what.contains("others")));
    assert!(way_out.contains("chmod -R go="), "{way_out}");
}

#[test]
fn who_runs_and_what_waits_is_told() {
    let mut gate = Gate::open();
    let pid = gate.pid().to_string();
    assert_eq!(well(&gate)["process"], pid);
    let body = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": []});
    let idle = Call::post("/v1/messages", &body).header("x-api-key", "planted").play("stall=4");
    let mut reply = gate.send(&idle);
    reply.read_past("message_start").expect("it begins");
    assert_eq!(well(&gate)["in_slots"], 1);
    gate.kill();
    let left = well(&gate);
    assert_eq!((&left["process"], &left["in_slots"]), (&Value::Null, &json!(1)));
    assert!(gate.says(&["doctor"]).contains("the next start records them"));
    gate.start();
    assert_eq!(gate.receipt()["status"], "interrupted");
    wait_until("nothing waits", || well(&gate)["in_slots"] == 0);
}

#[test]
fn a_receipt_of_a_time_to_come_is_noted_and_a_home_that_is_no_folder_is_refused() {
    let gate = closed();
    // As a clock that is a year ahead dates it.
    change(
        &gate,
        "PRAGMA foreign_keys = OFF; DELETE FROM rollup;
        UPDATE receipt SET ordinal = ordinal + (31536000000 << 12)",
    );
    gate.says(&["doctor", "--rebuild"]);
    let note = &well(&gate)["notes"][0]["what"];
    assert!(note.as_str().is_some_and(|note| note.contains("still to come")), "{note}");
    let mut elsewhere = gate.prepared(&["doctor"]);
    elsewhere.env("TOLLGATE_HOME", gate.home().join("config.toml"));
    let refused = elsewhere.output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("is no folder"));
}
