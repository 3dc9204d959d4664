//! Copies of the ledger and back, by the real process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup, wait_until};
use crate::ledger::{SMALL_DISK, may_mount};

fn message() -> Call {
    let body = json!({"model": "standin", "max_tokens": 64, "messages": []});
    Call::post("/v1/messages", &body).header("x-api-key", "planted")
}

fn call(gate: &Gate, times: usize) {
    for _ in 0..times {
        assert_eq!(gate.send(&message()).status(), 200);
    }
}

fn stop(gate: &mut Gate) {
    gate.ask_to_stop();
    gate.ended();
}

fn asked(gate: &Gate, arguments: &[&str]) -> Value {
    let output = gate.command(arguments);
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn copies(gate: &Gate) -> Vec<PathBuf> {
    let found = asked(gate, &["doctor", "--json"]);
    let paths = found["backups"].as_array().expect("a list").iter();
    paths.map(|copy| copy["path"].as_str().expect("a path").into()).collect()
}

#[test]
fn a_running_gate_copies_its_ledger_by_itself_and_a_broken_one_is_put_back() {
    let mut gate = Gate::open();
    call(&gate, 3);
    gate.receipts_of(3);
    stop(&mut gate);
    // A new ledger is copied once there is something in it: here, by the next start.
    gate.start();
    wait_until("there is a copy", || copies(&gate).len() == 1);
    let refused = gate.command(&["restore"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it"));
    call(&gate, 2);
    gate.receipts_of(5);
    stop(&mut gate);
    let ledger = gate.home().join("ledger.db");
    let broken: Vec<u8> = vec![b'x'; 40_000];
    fs::write(&ledger, &broken).expect("writable");
    let found = gate.command(&["doctor"]);
    assert_eq!(found.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&found.stderr).contains("tollgate restore"));
    let restored = asked(&gate, &["restore", "--json"]);
    assert_eq!(restored["receipts"], 3);
    let aside = restored["set_aside"].as_str().expect("a path");
    assert_eq!(fs::read(aside).expect("it is there"), broken);
    assert_eq!(asked(&gate, &["doctor", "--json"])["set_aside"][0]["path"], aside);
    gate.start();
    gate.receipts_of(3);
    call(&gate, 1);
    gate.receipts_of(4);
    gate.says(&["doctor", "--verify"]);
}

#[test]
fn what_came_in_since_the_copy_is_told_and_recorded_when_it_is_wanted() {
    let mut gate = Gate::open();
    call(&gate, 3);
    gate.receipts_of(3);
    gate.says(&["backup"]);
    call(&gate, 4);
    let all = gate.receipts_of(7);
    let refused = gate.command(&["merge", "nowhere.db"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a running Tollgate"));
    stop(&mut gate);
    let restored = gate.command(&["restore"]);
    let told = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(told.contains("4 receipts") && told.contains("tollgate merge '"), "{told}");
    assert_eq!(gate.receipts().len(), 3);
    assert_eq!(asked(&gate, &["merge", "--dry-run", "--json"])["receipts"], 4);
    assert_eq!(asked(&gate, &["merge", "--json"])["receipts"], 4);
    assert_eq!(gate.receipts(), all);
    assert_eq!(asked(&gate, &["merge", "--json"])["receipts"], 0);
    let again = asked(&gate, &["restore", "--merge", "--json"]);
    assert_eq!((&again["missing"]["receipts"], &again["merged"]), (&json!(4), &json!(true)));
    assert_eq!(gate.receipts(), all);
    gate.start();
    call(&gate, 1);
    gate.receipts_of(8);
    gate.says(&["doctor", "--verify"]);
}

#[test]
fn copies_go_where_the_configuration_says_and_only_the_newest_stay() {
    let elsewhere = tempfile::TempDir::new().expect("a temporary folder");
    let folder = elsewhere.path().join("deep/er");
    let gate = Gate::open_with(Setup {
        more: format!("[backup]\nfolder = '{}'\nevery_hours = 0\nkeep = 2\n", folder.display()),
        ..Setup::default()
    });
    call(&gate, 1);
    gate.receipts_of(1);
    fs::create_dir_all(&folder).expect("writable");
    for day in ["20250101", "20250102", "20250103"] {
        fs::write(folder.join(format!("ledger-{day}T000000Z.db")), "old").expect("writable");
    }
    let made = asked(&gate, &["backup", "--json"]);
    let kept =
        [made["path"].as_str().expect("a path").into(), folder.join("ledger-20250103T000000Z.db")];
    assert_eq!(copies(&gate), kept);
    let single = elsewhere.path().join("single.db");
    let single = single.to_str().expect("plain text");
    gate.says(&["backup", single]);
    let again = gate.command(&["backup", single]);
    assert_eq!(again.status.code(), Some(1), "a file that is there is not written over");
    assert_eq!(copies(&gate), kept);
}

#[test]
fn a_disk_without_room_for_a_copy_is_left_to_the_receipts() {
    if !may_mount() {
        eprintln!("skipped: this system lets no test have a disk of its own");
        return;
    }
    let gate = Gate::open_with(Setup { launcher: &SMALL_DISK, ..Setup::default() });
    call(&gate, 3);
    let health = || gate.send(&Call::get("/healthz")).json().expect("JSON");
    wait_until("all is written", || health()["recorded"] == 3);
    let mut inside = Command::new("nsenter");
    inside.args(["-t", &gate.pid().to_string(), "-U", "-m", "--preserve-credentials"]);
    inside.args([env!("CARGO_BIN_EXE_tollgate"), "backup"]).env("TOLLGATE_HOME", gate.home());
    let refused = inside.output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("no room") && why.contains("[backup]"), "{why}");
    // Seen from outside its namespace.
    let home = format!("/proc/{}/root{}", gate.pid(), gate.home().display());
    let left = fs::read_dir(Path::new(&home).join("backups")).expect("it was made");
    let left: Vec<_> = left.map(|file| file.expect("it is there").file_name()).collect();
    assert_eq!(left, ["lock"], "nothing of it is left");
    call(&gate, 1);
    wait_until("receipts are written on", || health()["recorded"] == 4);
}
