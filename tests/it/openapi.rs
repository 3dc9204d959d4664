//! The management contract against its own document: schemathesis asks everything it can think
//! of, and whatever the document does not tell of fails. Streams are left to other tests.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::Gate;
use crate::sdk;

/// Cases a part of the contract at most is tried with, besides those at the edges of the schema.
const CASES: &str = "10";

/// A pass that may ask and change all.
fn pass(gate: &Gate, label: &str) -> String {
    let add = ["passes", "add", label, "--scope", "usage:read", "--scope", "manage", "--json"];
    let made: Value = serde_json::from_str(gate.says(&add).trim()).expect("JSON");
    made["secret"].as_str().expect("the secret, shown once").to_owned()
}

/// A gate with something to show, and its document in a file.
fn gate() -> (Gate, PathBuf) {
    let gate = Gate::open();
    let chat = json!({"model": "standin", "messages": []});
    let call = Call::post("/v1/chat/completions", &chat).bearer("planted");
    gate.send(&call).body().expect("whole");
    gate.send(&call.play("status=429;limit=tokens/100/5/6m0s")).body().expect("whole");
    gate.receipts_of(2);
    let pass = pass(&gate, "reader");
    let document = gate.send(&Call::get("/api/v1/openapi.json").bearer(&pass));
    assert_eq!(document.header("content-type"), Some("application/json"));
    let file = gate.home().join("openapi.json");
    fs::write(&file, document.body().expect("whole")).expect("the home is writable");
    (gate, file)
}

fn tried(only: &[&str]) {
    let Some(program) = sdk::installed(".venv/bin/schemathesis") else { return };
    let (gate, document) = gate();
    let mut command = Command::new(program);
    command.current_dir(gate.home()).arg("run").arg(document).args(["--url", &gate.origin()]);
    let bearer = format!("Authorization: Bearer {}", pass(&gate, "tried"));
    // What the schema cannot say, such as which names there are, may be refused; so valid data
    // need not be accepted. What is refused everywhere names methods that some addresses lack.
    let unfit = "positive_data_acceptance,allow_header_conformance";
    command.args(["-H", &bearer, "--phases", "coverage,fuzzing", "-n", CASES, "--seed", "1"]);
    command.args(["--exclude-checks", unfit, "--exclude-path", "/api/v1/events"]);
    command.args(["--rate-limit", "150/s", "--no-color", "--continue-on-failure"]);
    sdk::run(command.args(only));
}

#[test]
fn no_answer_of_the_management_contract_is_undocumented() {
    tried(&["--exclude-path", "/api/v1/passes/{label}"]);
}

/// Apart, because whoever tries these may take the pass away that is tried with.
#[test]
fn no_answer_about_a_single_pass_is_undocumented() {
    tried(&["--include-path", "/api/v1/passes/{label}"]);
}
