//! The user's own prices and second valuations, with a running process and without one.

use std::fs;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, count};

/// A dollar a million tokens of whatever sort, for every model.
const OWN: &str = "[[price]]\nprovider = 'openai'\n[price.rates]\n'input.text' = '1'\n\
     'input.cache_read' = '1'\n'output.text' = '1'\n'output.reasoning' = '1'\n\
     'input.cache_write' = '1'\n'input.cache_write_30m' = '1'\n";

fn call(gate: &Gate) {
    let chat = json!({"model": "standin", "messages": []});
    let call = Call::post("/v1/chat/completions", &chat).bearer("planted");
    gate.send(&call).body().expect("whole");
}

/// What the receipt comes to at a dollar a million tokens.
fn dollars(receipt: &Value) -> String {
    let tokens = count(receipt, "input.").unwrap_or(0) + count(receipt, "output.").unwrap_or(0);
    format!("0.{tokens:06}").trim_end_matches('0').to_owned()
}

#[test]
fn own_prices_hold_from_the_next_call_and_a_wrong_file_changes_nothing() {
    let gate = Gate::open();
    call(&gate);
    assert_eq!(gate.receipts_of(1)[0]["cost_state"], "unknown");
    let file = gate.home().join("prices.toml");
    fs::write(&file, OWN).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    call(&gate);
    let second = gate.receipts_of(2).remove(1);
    assert_eq!(second["cost"], *dollars(&second), "{second}");
    let version = second["lines"][0]["price_version"].as_str().unwrap_or_default();
    assert!(version.starts_with("override "), "{version}");

    fs::write(&file, OWN.replace("output.text", "output.txt")).expect("a file");
    let refused = gate.command(&["prices", "override", "--check"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("line 6"), "{said}");
    call(&gate);
    let third = gate.receipts_of(3).remove(2);
    assert_eq!(third["book_hash"], second["book_hash"]);
}

#[test]
fn a_second_valuation_is_appended_with_a_process_and_without() {
    let mut gate = Gate::open();
    call(&gate);
    call(&gate);
    let first = gate.receipts_of(2);
    fs::write(gate.home().join("prices.toml"), OWN).expect("a file");
    let reprice = |gate: &Gate, more: &[&str]| -> Value {
        let order = ["reprice", "--reason", "it was agreed", "--json"];
        serde_json::from_str(&gate.says(&[&order, more].concat())).expect("JSON")
    };
    assert_eq!(reprice(&gate, &[])["changed"], 2);
    assert_eq!(gate.receipts(), first, "a preview changes nothing");
    let id = first[0]["id"].as_str().expect("an id");
    assert_eq!(reprice(&gate, &["--id", id, "--yes"])["appended"], true);
    gate.kill();
    assert_eq!(reprice(&gate, &["--yes"])["changed"], 1);
    assert_eq!(reprice(&gate, &["--yes"])["unchanged"], 2);
    for (now, first) in gate.receipts().iter().zip(&first) {
        assert_eq!(now["cost"], first["cost"], "the first valuation stays");
        assert_eq!(now["settlements"][0]["cost"], *dollars(first), "{now}");
        assert_eq!(now["settlements"][0]["note"], "it was agreed");
    }
    gate.says(&["doctor", "--verify"]);
}
