//! Stored keys: used for a pass, shown to one origin, found nowhere else.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use serde_json::json;
use standin::Standin;
use standin::client::Call;

use crate::gate::{Gate, Setup, files_below, wait_until};

const KEY: &str = "sk-PLANTED-STORED-4be1";
const SECOND: &str = "sk-PLANTED-STORED-90aa";

/// A keychain of its own, unlocked, on a bus of its own.
const KEYCHAIN: &[&str] = &[
    "sh",
    "-c",
    r#"export HOME="$TOLLGATE_HOME/person" XDG_RUNTIME_DIR="$TOLLGATE_HOME/person/run"
mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
exec dbus-run-session -- sh -c 'echo "$DBUS_SESSION_BUS_ADDRESS" > "$HOME/bus"; printf "test\n" | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; exec "$0" "$@"' "$0" "$@""#,
];

/// The same, and nobody ever unlocks it.
const LOCKED: &[&str] = &[
    "sh",
    "-c",
    r#"export HOME="$TOLLGATE_HOME/person" XDG_RUNTIME_DIR="$TOLLGATE_HOME/person/run"
mkdir -p "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
exec dbus-run-session -- sh -c 'gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1; exec "$0" "$@"' "$0" "$@""#,
];

fn chat(secret: &str) -> Call {
    Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": []})).bearer(secret)
}

fn add(gate: &Gate, more: &[&str], key: &str) {
    let arguments = [&["keys", "add", "openai", "--no-test"], more].concat();
    let output = gate.command_given(&arguments, &format!("{key}\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains(key), "the key is shown");
}

fn pass(gate: &Gate) -> String {
    gate.says(&["passes", "add", "laptop"]).trim().to_owned()
}

fn used_for_a_pass(gate: &Gate, store: &[&str]) {
    let pass = pass(gate);
    let before = gate.send(&chat(&pass));
    assert_eq!(before.status(), 401, "there is no key yet");
    add(gate, store, KEY);
    assert_eq!(gate.send(&chat(&pass)).status(), 200);
    // The same label again takes its place, another one only when it is told to.
    add(gate, &[store, &["--label", "work"]].concat(), SECOND);
    assert_eq!(gate.send(&chat(&pass)).status(), 200);
    gate.says(&["keys", "use", "openai", "work"]);
    assert_eq!(gate.send(&chat(&pass)).status(), 200);
    assert_eq!(gate.send(&chat("sk-own")).status(), 200);
    gate.says(&["keys", "remove", "openai", "work"]);
    gate.says(&["keys", "remove", "openai"]);
    assert_eq!(gate.send(&chat(&pass)).status(), 401);
    let shown: Vec<String> = gate
        .upstream_saw(4)
        .iter()
        .map(|seen| seen.header("authorization").unwrap_or_default().to_owned())
        .collect();
    let bearer = |key: &str| format!("Bearer {key}");
    assert_eq!(shown, [bearer(KEY), bearer(KEY), bearer(SECOND), bearer("sk-own")]);
    let receipts = gate.receipts_of(6);
    let keys: Vec<_> = receipts.iter().map(|receipt| receipt["key"].as_str()).collect();
    let some = |label| Some(label);
    assert_eq!(keys, [None, some("default"), some("default"), some("work"), None, None]);
}

fn assert_nowhere(gate: &Gate, except: &str) {
    for path in files_below(gate.home()).iter().filter(|path| !path.ends_with(except)) {
        let bytes = fs::read(path).unwrap_or_default();
        for key in [KEY, SECOND] {
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "{} holds a key", path.display());
        }
    }
}

#[test]
fn a_key_in_a_file_is_used_for_a_pass_and_is_found_nowhere_else() {
    let mut gate = Gate::open_with(Setup { log: Some("trace"), ..Setup::default() });
    used_for_a_pass(&gate, &["--store", "file"]);
    add(&gate, &["--store", "file"], KEY);
    assert_nowhere(&gate, "keys.secret");
    let file = gate.home().join("keys.secret");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&file).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let environment = fs::read(format!("/proc/{}/environ", gate.pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&environment).contains("PLANTED"));
    gate.ask_to_stop();
    let (_, said) = gate.ended();
    assert!(!said.contains("PLANTED"), "{said}");
}

#[test]
fn a_stored_key_survives_a_restart_and_is_not_shown_to_an_address_that_was_moved() {
    let mut gate = Gate::open();
    add(&gate, &["--store", "file"], KEY);
    let pass = pass(&gate);
    gate.ask_to_stop();
    gate.ended();
    gate.start();
    wait_until("the key is read", || gate.send(&chat(&pass)).status() == 200);

    let thief = Standin::start().expect("a second upstream");
    gate.ask_to_stop();
    gate.ended();
    let config = gate.home().join("config.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    let moved = text.replace(&gate.standin.origin(), &thief.origin());
    assert_ne!(moved, text);
    fs::write(&config, moved).expect("it can be written");
    gate.start();
    for _ in 0..5 {
        assert_eq!(gate.send(&chat(&pass)).status(), 401);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(thief.seen().is_empty(), "the key went to another origin");
}

#[test]
fn a_stream_that_runs_ends_with_the_key_it_began_with_and_the_next_call_has_the_new_one() {
    let gate = Gate::open();
    let pass = pass(&gate);
    add(&gate, &["--store", "file"], KEY);
    let stream = json!({"model": "standin", "stream": true, "messages": []});
    let stream = Call::post("/v1/chat/completions", &stream).bearer(&pass);
    let mut running = gate.send(&stream.play("chunks=60;delay=20;say=BEGUN"));
    running.read_past("BEGUN").expect("it has begun");
    add(&gate, &["--store", "file"], SECOND);
    assert_eq!(gate.send(&chat(&pass)).status(), 200);
    let streaming = gate.standin.seen();
    assert!(streaming[0].end.is_none(), "the stream was over before the key was replaced");
    let (rest, broken) = running.remains();
    assert!(broken.is_none() && rest.ends_with(b"data: [DONE]\n\n"), "the stream was cut");
    let shown: Vec<String> = gate
        .upstream_saw(2)
        .iter()
        .map(|seen| seen.header("authorization").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(shown, [format!("Bearer {KEY}"), format!("Bearer {SECOND}")]);
    let receipts = gate.receipts_of(2);
    assert!(receipts.iter().all(|one| one["status"] == "succeeded"), "{receipts:#?}");
}

#[test]
fn a_removed_key_is_in_no_file_and_serves_nobody() {
    let gate = Gate::open();
    let pass = pass(&gate);
    add(&gate, &["--store", "file"], KEY);
    add(&gate, &["--store", "file", "--label", "work"], SECOND);
    gate.says(&["keys", "remove", "openai", "default"]);
    let left: Vec<_> = gate.says(&["keys", "--json"]).lines().map(str::to_owned).collect();
    assert!(left.len() == 1 && left[0].contains(r#""is_default":true"#), "{left:?}");
    gate.says(&["keys", "remove", "openai", "work"]);
    assert_nowhere(&gate, "-");
    assert_denied_for_want_of_a_key(&gate, &pass);
    assert!(gate.standin.seen().is_empty());
}

fn assert_denied_for_want_of_a_key(gate: &Gate, pass: &str) {
    let denied = gate.send(&chat(pass));
    assert_eq!(denied.status(), 401);
    assert_eq!(denied.json().expect("JSON")["error"]["code"], "no_key");
}

#[test]
fn without_a_keychain_a_key_is_refused_with_the_way_out() {
    let gate = Gate::open();
    let output = gate.command_given(&["keys", "add", "openai"], KEY);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--store file") && !said.contains(KEY), "{said}");
    assert_nowhere(&gate, "-");
    assert_eq!(gate.send(&chat("sk-own")).status(), 200, "the gate goes on");
    for (provider, key) in [("nobody", "sk-1"), ("openai", "two words"), ("openai", "")] {
        let output = gate.command_given(&["keys", "add", provider, "--store", "file"], key);
        assert!(!output.status.success(), "{provider} {key}");
    }
}

/// Whether this machine has a keychain to test with; the full run must.
fn has_keychain() -> bool {
    let found = |program: &str| {
        let which = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        which.is_ok_and(|output| output.status.success())
    };
    let has = found("dbus-run-session") && found("gnome-keyring-daemon");
    assert!(
        has || std::env::var_os("TOLLGATE_REQUIRE_SDKS").is_none(),
        "no keychain: `make setup`"
    );
    has
}

#[test]
fn a_key_in_the_keychain_is_used_for_a_pass_and_is_in_no_file_as_text() {
    if !has_keychain() {
        return;
    }
    let gate = Gate::open_with(Setup { launcher: KEYCHAIN, ..Setup::default() });
    used_for_a_pass(&gate, &[]);
    add(&gate, &[], KEY);
    assert_nowhere(&gate, "-");
}

/// Everything that the keychain of this gate holds, as its own bus tells.
fn kept_in_the_keychain(gate: &Gate) -> usize {
    let bus = fs::read_to_string(gate.home().join("person/bus")).expect("the launcher wrote it");
    let asked = Command::new("dbus-send")
        .arg(format!("--bus={}", bus.trim()))
        .args(["--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"])
        .args(["org.freedesktop.Secret.Service.SearchItems", "dict:string:string:"])
        .output()
        .expect("dbus-send comes with the bus");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8_lossy(&asked.stdout).matches("object path").count()
}

#[test]
fn a_removed_key_is_not_in_the_keychain_any_more() {
    if !has_keychain() {
        return;
    }
    let gate = Gate::open_with(Setup { launcher: KEYCHAIN, ..Setup::default() });
    let pass = pass(&gate);
    assert_eq!(kept_in_the_keychain(&gate), 0);
    add(&gate, &[], KEY);
    add(&gate, &["--label", "work"], SECOND);
    assert_eq!(kept_in_the_keychain(&gate), 2);
    gate.says(&["keys", "remove", "openai", "work"]);
    gate.says(&["keys", "remove", "openai"]);
    assert_eq!(kept_in_the_keychain(&gate), 0);
    assert_nowhere(&gate, "-");
    assert_denied_for_want_of_a_key(&gate, &pass);
}

#[test]
fn a_locked_keychain_is_told_and_stops_nobody() {
    if !has_keychain() {
        return;
    }
    let gate = Gate::open_with(Setup { launcher: LOCKED, ..Setup::default() });
    let output = gate.command_given(&["keys", "add", "openai"], KEY);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("--store file"), "{said}");
    assert_eq!(gate.send(&chat("sk-own")).status(), 200);
}
