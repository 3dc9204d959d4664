//! A ledger that cannot be written: traffic flows, the loss is seen.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use standin::client::Call;

use crate::gate::{Gate, Setup, wait_until};

fn message() -> Call {
    let body = json!({"model": "standin", "max_tokens": 64, "messages": []});
    Call::post("/v1/messages", &body).header("x-api-key", "planted")
}

fn traffic_flows(gate: &Gate) {
    for _ in 0..5 {
        let reply = gate.send(&message());
        assert_eq!(reply.status(), 200);
        assert!(reply.header("x-tollgate-receipt").is_some());
        assert!(!reply.body().expect("a whole body").is_empty());
    }
}

fn the_loss_is_told(gate: &Gate) {
    wait_until("the trouble is told", || {
        let said = gate.printed().to_lowercase();
        said.contains("ledger") && (said.contains("error") || said.contains("warn"))
    });
    let printed = gate.printed();
    // Without the time each line begins with.
    let told = printed.lines().filter(|line| line.contains("ERROR") || line.contains("WARN"));
    let mut told: Vec<&str> = told.filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    let times = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), times, "each thing is told once, not for every call:\n{printed}");
}

#[test]
fn a_corrupt_ledger_does_not_stop_traffic() {
    let gate = Gate::open_with(Setup {
        prepare: Some(|home| {
            fs::write(home.join("ledger.db"), vec![b'x'; 40_000]).expect("writable")
        }),
        ..Setup::default()
    });
    traffic_flows(&gate);
    the_loss_is_told(&gate);
    let output = gate.command(&["requests"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ledger.db"));
    let kept = fs::read(gate.home().join("ledger.db")).expect("still there");
    assert!(
        kept.iter().all(|byte| *byte == b'x'),
        "a ledger that cannot be read is not written over"
    );
}

#[test]
fn a_ledger_that_cannot_be_opened_does_not_stop_traffic() {
    let gate = Gate::open_with(Setup {
        prepare: Some(|home| fs::create_dir(home.join("ledger.db")).expect("writable")),
        ..Setup::default()
    });
    traffic_flows(&gate);
    the_loss_is_told(&gate);
}

#[test]
fn a_ledger_of_a_newer_tollgate_is_refused_with_a_way_out_and_left_alone() {
    let mut gate = Gate::open();
    gate.send(&message()).body().expect("a whole body");
    gate.receipts_of(1);
    gate.ask_to_stop();
    gate.ended();
    set_user_version(gate.home().join("ledger.db").as_path(), 9_999);
    let output = gate.command(&["requests"]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.contains("newer"), "{why}");
}

/// Bytes 60..64 of an SQLite file are its user version.
fn set_user_version(path: &Path, version: u32) {
    let mut bytes = fs::read(path).expect("the ledger");
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    fs::write(path, bytes).expect("writable");
}

#[test]
fn a_read_only_ledger_does_not_stop_traffic() {
    let gate = Gate::open_with(Setup {
        prepare: Some(|home| {
            let path = home.join("ledger.db");
            fs::write(&path, b"").expect("writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("ours");
        }),
        ..Setup::default()
    });
    traffic_flows(&gate);
}

#[test]
fn a_disk_full_from_the_start_does_not_stop_traffic() {
    // No file may grow beyond what the register needs, as if the disk were full; the
    // signal that comes with it is ignored, so writing fails as it does on a full disk.
    let mut gate = Gate::open_with(Setup {
        launcher: &["bash", "-c", "trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\""],
        ..Setup::default()
    });
    traffic_flows(&gate);
    gate.kill();
}

/// Gives the process a small disk of its own at its home; the configuration moves there.
pub(crate) const SMALL_DISK: [&str; 5] = [
    "unshare",
    "-rm",
    "bash",
    "-c",
    "config=$(cat \"$TOLLGATE_HOME/config.toml\") && mount -t tmpfs -o size=24m none \"$TOLLGATE_HOME\" \
     && printf %s \"$config\" > \"$TOLLGATE_HOME/config.toml\" && exec \"$0\" \"$@\"",
];

/// Whether [`SMALL_DISK`] works here.
pub(crate) fn may_mount() -> bool {
    let mount =
        Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).status();
    mount.is_ok_and(|status| status.success())
}

#[test]
fn a_disk_that_runs_full_stops_no_traffic_and_once_there_is_room_nothing_was_lost() {
    if !may_mount() {
        eprintln!("skipped: this system lets no test have a disk of its own");
        return;
    }
    let gate = Gate::open_with(Setup { launcher: &SMALL_DISK, ..Setup::default() });
    // Seen from outside its namespace.
    let home = format!("/proc/{}/root{}", gate.pid(), gate.home().display());
    let filler = Path::new(&home).join("filler");
    let mut file = fs::File::create(&filler).expect("there is room yet");
    for size in [1 << 16, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    for _ in 0..40 {
        traffic_flows(&gate);
    }
    drop(file);
    fs::remove_file(&filler).expect("it is there");
    let health = || gate.send(&Call::get("/healthz")).json().expect("JSON");
    wait_until("all is written", || health()["recorded"] == 200);
    assert_eq!(health()["lost"], 0, "{}", health());
    the_loss_is_told(&gate);
}

#[test]
fn a_ledger_that_somebody_else_holds_is_waited_for_and_nothing_is_lost() {
    let gate = Gate::open();
    traffic_flows(&gate);
    gate.receipts_of(5);
    let holder = rusqlite::Connection::open(gate.home().join("ledger.db")).expect("it opens");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("nobody else holds it");
    traffic_flows(&gate);
    assert_eq!(gate.receipts().len(), 5, "held back");
    holder.execute_batch("COMMIT").expect("held until now");
    gate.receipts_of(10);
}

#[test]
fn everything_in_the_home_is_for_its_owner_only() {
    let gate = Gate::open();
    gate.send(&message()).body().expect("a whole body");
    gate.receipts_of(1);
    for entry in fs::read_dir(gate.home()).expect("the home") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("it is there").permissions().mode() & 0o077;
        assert!(mode == 0 || entry.file_name() == "config.toml", "{entry:?} has mode {mode:o}");
    }
}
