//! Passes in force: limited, changed, renamed, revoked, while calls come in.

use std::fs;

use serde_json::{Value, json};
use standin::client::Call;
use standin::seen::End;

use crate::gate::Gate;

fn make(gate: &Gate, arguments: &[&str]) -> String {
    let arguments = [&["passes", "add"], arguments, &["--json"]].concat();
    let made: Value = serde_json::from_str(&gate.says(&arguments)).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

/// With a key of the caller's own, and the pass beside it.
fn call(path: &str, pass: &str, body: &Value) -> Call {
    Call::post(path, body).bearer("planted").header("x-api-key", pass)
}

fn chat(pass: &str, model: &str) -> Call {
    call("/v1/chat/completions", pass, &json!({"model": model, "messages": []}))
}

#[test]
fn a_limited_pass_opens_its_providers_and_models_only_until_that_is_changed() {
    let gate = Gate::open();
    let pass = make(&gate, &["ci", "--provider", "openai", "--model", "standin*"]);
    assert_eq!(gate.send(&chat(&pass, "standin-mini")).status(), 200);
    for refused in [
        chat(&pass, "gpt-5.1"),
        call("/v1/chat/completions", &pass, &json!({"messages": []})),
        call("/groq/openai/v1/chat/completions", &pass, &json!({"model": "standin"})),
        call("/v1beta/models/standin:generateContent", &pass, &json!({"contents": []})),
    ] {
        let reply = gate.send(&refused);
        assert_eq!(reply.status(), 403);
        let said = reply.json().expect("JSON").to_string();
        assert!(said.contains("`ci`") && said.contains("tollgate passes edit ci"), "{said}");
    }
    assert_eq!(gate.standin.seen().len(), 1, "something refused reached upstream");
    let denied = gate.receipts_of(5);
    assert_eq!(denied[1]["error_type"], "pass_limit");
    assert_eq!(denied[1]["model_requested"], "gpt-5.1");

    // In force for the next call, over the control socket.
    gate.says(&["passes", "edit", "ci", "--model", "gpt-5*", "--any-provider"]);
    assert_eq!(gate.send(&chat(&pass, "gpt-5.1")).status(), 200);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 403);
    gate.says(&["passes", "edit", "ci", "--any-model", "--workspace", "lab"]);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 200);
    assert_eq!(gate.receipts_of(8)[7]["workspace"], "lab");
    gate.says(&["passes", "edit", "ci", "--expires", "2020-01-01"]);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 401);
    gate.says(&["passes", "edit", "ci", "--expires", "never"]);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 200);
    for wrong in
        [["--provider", "opnai"], ["--model", "*-mini"], ["--expires", "soon"], ["--model", ""]]
    {
        let output = gate.command(&[&["passes", "edit", "ci"], &wrong[..]].concat());
        assert!(!output.status.success(), "{wrong:?}");
    }
}

#[test]
fn a_renamed_pass_works_on_and_its_receipts_have_its_new_label() {
    let mut gate = Gate::open();
    let pass = make(&gate, &["laptop"]);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 200);
    gate.receipts_of(1);
    gate.says(&["passes", "rename", "laptop", "desk"]);
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 200);
    for receipt in gate.receipts_of(2) {
        assert_eq!(receipt["pass"], "desk");
    }
    let usage: Value =
        serde_json::from_str(&gate.says(&["usage", "--by", "pass", "--json"])).expect("JSON");
    assert_eq!(
        (&usage["rows"][0]["name"], &usage["rows"][0]["requests"]),
        (&json!("desk"), &json!(2))
    );
    for taken in [["add", "laptop"], ["add", "desk"]] {
        assert!(!gate.command(&[&["passes"], &taken[..]].concat()).status.success(), "{taken:?}");
    }
    // With nobody running, the command acts itself.
    gate.kill();
    gate.says(&["passes", "rename", "desk", "laptop"]);
    gate.start();
    assert_eq!(gate.send(&chat(&pass, "standin")).status(), 200);
    assert_eq!(gate.receipts_of(3)[2]["pass"], "laptop");
}

#[test]
fn a_revoked_pass_denies_the_next_call_and_cuts_streams_only_if_asked() {
    let gate = Gate::open();
    let endless = |pass: &str| {
        let body = json!({"model": "standin", "stream": true, "messages": []});
        call("/v1/chat/completions", pass, &body).play("endless;delay=20")
    };
    let (kept, cut) = (make(&gate, &["kept"]), make(&gate, &["cut"]));
    let mut goes_on = gate.send(&endless(&kept));
    goes_on.read_past("Hello").expect("it streams");
    let mut ends = gate.send(&endless(&cut));
    ends.read_past("Hello").expect("it streams");
    gate.says(&["passes", "revoke", "kept"]);
    assert_eq!(gate.send(&chat(&kept, "standin")).status(), 401);
    gate.says(&["passes", "revoke", "cut", "--cut"]);
    assert_eq!(gate.send(&chat(&cut, "standin")).status(), 401);
    let (_, broke) = ends.remains();
    assert!(broke.is_some(), "the client takes what it has for a whole answer");
    // The other one is still there, until it is cut after all.
    goes_on.next_piece().expect("it streams on").expect("more");
    gate.says(&["passes", "revoke", "kept", "--cut"]);
    assert!(goes_on.remains().1.is_some(), "it was not cut");
    let receipts = gate.receipts_of(4);
    let of = |pass: &str, status: &str| {
        let found = receipts.iter().find(|r| r["pass"] == pass && r["status"] == status);
        found.unwrap_or_else(|| panic!("no {status} receipt of {pass}: {receipts:#?}"))
    };
    for pass in ["cut", "kept"] {
        let receipt = of(pass, "cancelled");
        assert_eq!(receipt["error_type"], "pass_revoked");
        let note = receipt["note"].as_str();
        assert!(note.is_some_and(|note| note.contains("revoked")), "{receipt:#}");
    }
    let seen = gate.upstream_saw(2);
    assert!(seen.iter().all(|seen| seen.end == Some(End::PeerLeft)), "{seen:?}");
    // Who is unknown does not show in the list of passes, and no file holds a secret.
    for file in crate::gate::files_below(gate.home()) {
        let bytes = fs::read(&file).expect("it can be read");
        assert!(!bytes.windows(cut.len()).any(|w| w == cut.as_bytes()), "{}", file.display());
    }
}
