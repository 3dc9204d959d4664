//! What the providers still allow, from the headers of their answers to page and command.

use serde_json::{Value, json};
use standin::client::Call;

use crate::contract::bearer;
use crate::gate::{Gate, wait_until};

fn chat() -> Call {
    Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": []}))
        .bearer("planted-secret")
}

fn listed(gate: &Gate) -> Vec<Value> {
    let lines = gate.says(&["limits", "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn what_a_provider_still_allows_is_told_by_command_and_http_alike() {
    let gate = Gate::open();
    assert!(listed(&gate).is_empty());
    gate.send(&chat().play("limit=tokens/1000/80/6m0s")).body().expect("whole");
    wait_until("the limit is known", || !listed(&gate).is_empty());
    let known = listed(&gate);
    let is = json!({
        "provider": "openai", "key": null, "model": "standin", "what": "tokens", "limit": 1000,
        "remaining": 80, "used_percent": 92, "state": "low", "used_up_at": null,
        "resets_at": known[0]["resets_at"], "seen_at": known[0]["seen_at"],
    });
    assert_eq!(known, [is]);
    assert!(known[0]["resets_at"].as_str() > known[0]["seen_at"].as_str());
    let reader = bearer(&gate, "usage:read");
    let reply = gate.send(&Call::get("/api/v1/limits").bearer(&reader));
    assert_eq!(reply.json().expect("JSON")["limits"], json!(known));
    let told = gate.says(&["limits"]);
    assert!(told.contains("92 %") && !told.contains("planted"), "{told}");
}

#[test]
fn what_a_provider_said_stands_for_the_key_it_was_said_to() {
    let gate = Gate::open();
    let add = ["keys", "add", "openai", "--label", "work", "--store", "file"];
    assert!(gate.command_given(&add, "sk-planted-stored\n").status.success());
    let pass = bearer(&gate, "call");
    let call = Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": []}));
    gate.send(&call.bearer(&pass).play("limit=requests/50/0/30s")).body().expect("whole");
    wait_until("the limit is known", || !listed(&gate).is_empty());
    let known = listed(&gate);
    assert_eq!((&known[0]["key"], &known[0]["state"]), (&json!("work"), &json!("exhausted")));
}
