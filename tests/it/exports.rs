//! Exports in the background, of a real process: through the command line, over HTTP, on a disk
//! that is too small, across a power cut.

use std::fs;
use std::path::Path;
use std::time::Duration;

use meter::receipt::{Kind, Receipt, Status};
use serde_json::{Value, json};
use standin::client::Call;
use store::Ledger;

use crate::gate::{Gate, Setup, wait_until};
use crate::ledger::{SMALL_DISK, may_mount};

/// Many receipts whose rows are long, and which take little room in the ledger.
fn long_rows(home: &Path) {
    let ledger = Ledger::open(home).expect("a fresh ledger opens");
    let recorder = ledger.recorder();
    let long = "=long ".repeat(700);
    for minute in 0..8_000_i64 {
        let at = meter::Timestamp::from_millis(1_763_600_000_000 + minute * 60_000);
        let mut receipt = Receipt::begun(recorder.mint(at), at, "openai", "http://u.test");
        (receipt.kind, receipt.status) = (Kind::Chat, Status::Succeeded);
        receipt.model = Some("standin".into());
        receipt.tags.insert("why".into(), long.as_str().into());
        recorder.open(&receipt).finish(receipt);
    }
    ledger.close(Duration::from_secs(60));
}

impl Gate {
    fn exports(&self) -> Vec<Value> {
        let said = self.says(&["exports", "--json"]);
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What lies in the folder of exports, seen from outside the process's own disk, if it has one.
    fn export_files(&self) -> Vec<String> {
        let home = format!("/proc/{}/root{}", self.pid(), self.home().display());
        let folder = fs::read_dir(Path::new(&home).join("exports")).expect("the folder");
        let names = folder.map(|file| file.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
        names.sort();
        names
    }
}

fn chat() -> Call {
    Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": []})).bearer("k")
}

#[test]
fn an_export_is_ordered_followed_fetched_and_removed_by_commands() {
    let mut gate = Gate::open();
    for _ in 0..5 {
        gate.send(&chat()).body().expect("whole");
    }
    gate.receipts_of(5);
    let said = gate.says(&["exports", "start", "--model", "standin", "--wait"]);
    assert!(said.starts_with("Export 1 is done: usage-start_"), "{said}");
    let hours: Value =
        serde_json::from_str(&gate.says(&[
            "exports", "start", "--form", "hourly", "--format", "jsonl", "--wait", "--json",
        ]))
        .expect("JSON");
    assert_eq!(hours["status"], "done");
    let file = gate.home().join("fetched.csv");
    let file = file.to_str().expect("a plain path");
    gate.says(&["exports", "fetch", "1", "-o", file]);
    let fetched = fs::read_to_string(file).expect("it was fetched");
    assert_eq!(fetched, gate.says(&["export", "--format", "csv", "--model", "standin"]));
    assert_eq!(fetched.lines().count(), 6);

    // What is there stays there without a process, and so do its numbers.
    gate.kill();
    let refused = gate.command(&["exports", "start"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("tollgate serve"), "{why}");
    gate.says(&["exports", "fetch", "2", "-o", file]);
    let hour: Value = serde_json::from_str(&fs::read_to_string(file).expect("it is there"))
        .expect("five calls within an hour are one row, or this test ran at a full hour");
    assert_eq!(hour["requests"], 5);
    gate.says(&["exports", "remove", "1"]);
    assert!(!gate.command(&["exports", "fetch", "1", "-o", file]).status.success());
    gate.start();
    gate.says(&["exports", "start", "--wait"]);
    let numbers: Vec<Value> = gate.exports().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(numbers, [3, 2]);
}

#[test]
fn a_disk_that_is_too_small_leaves_no_half_file_and_calls_go_on() {
    // No file may grow beyond that, as if the disk were full; the signal that comes with it is
    // ignored, so writing fails as it does on a full disk.
    let gate = Gate::open_with(Setup {
        launcher: &["bash", "-c", "trap '' XFSZ; ulimit -f 20000; exec \"$0\" \"$@\""],
        prepare: Some(long_rows),
        ..Setup::default()
    });
    for format in ["csv", "jsonl"] {
        let start = gate.command(&["exports", "start", "--format", format, "--wait"]);
        let why = String::from_utf8_lossy(&start.stderr).into_owned();
        assert!(!start.status.success() && why.contains("is failed: File too large"), "{why}");
    }
    let failed = gate.exports();
    assert!(failed.iter().all(|job| job["status"] == "failed"), "{failed:?}");
    assert!(failed[0]["rows"].as_u64().is_some_and(|rows| rows > 1000), "it was in the middle");
    assert_eq!(gate.export_files(), ["exports.json"]);
    assert_eq!(gate.send(&chat()).status(), 200);
    let fits = gate.says(&["exports", "start", "--form", "hourly", "--wait"]);
    assert!(fits.contains("is done"), "{fits}");
}

#[test]
fn an_export_leaves_the_ledger_its_room() {
    if !may_mount() {
        eprintln!("skipped: this system lets no test have a disk of its own");
        return;
    }
    let gate = Gate::open_with(Setup { launcher: &SMALL_DISK, ..Setup::default() });
    gate.send(&chat()).body().expect("whole");
    let home = format!("/proc/{}/root{}", gate.pid(), gate.home().display());
    let start = gate.prepared(&["exports", "start", "--wait"]).env("TOLLGATE_HOME", &home).output();
    let why = String::from_utf8_lossy(&start.expect("the binary runs").stderr).into_owned();
    assert!(why.contains("is failed: there is no room left on the disk"), "{why}");
    assert_eq!(gate.export_files(), ["exports.json"]);
    assert_eq!(gate.send(&chat()).status(), 200);
}

#[test]
fn a_power_cut_leaves_whole_files_or_none_and_says_which() {
    let mut gate = Gate::open_with(Setup { prepare: Some(long_rows), ..Setup::default() });
    for _ in 0..6 {
        gate.says(&["exports", "start", "--format", "jsonl"]);
    }
    gate.kill();
    gate.start();
    wait_until("what was left is noticed", || {
        gate.export_files().iter().all(|name| !name.ends_with(".part"))
    });
    let jobs = gate.exports();
    let is = |status: &str| jobs.iter().filter(|job| job["status"] == status).count();
    assert_eq!(is("done") + is("interrupted"), 6, "{jobs:?}");
    assert!(is("interrupted") > 0, "a hundred megabytes are not written so soon: {jobs:?}");
    let files = gate.export_files();
    assert_eq!(files.len(), is("done") + 1, "{files:?}");
    // Nothing of it keeps the next from being made, nor is a number used again.
    let next = gate.says(&["exports", "start", "--form", "hourly", "--wait"]);
    assert!(next.starts_with("Export 7 is done"), "{next}");
}
