//! The user's own prices and second valuations, with a running process and without one.

use std::fs;
use std::time::Duration;

use meter::{Receipt, ReceiptId};
use serde_json::{Value, json};
use standin::client::Call;
use store::Ledger;

use crate::gate::{Gate, count};

/// A dollar a million tokens of whatever sort, for every model.
const OWN: &str = "[[price]]\nprovider = 'openai'\n[price.rates]\n'input.text' = '1'\n\
     'input.cache_read' = '1'\n'output.text' = '1'\n'output.reasoning' = '1'\n\
     'input.cache_write' = '1'\n'input.cache_write_30m' = '1'\n";

/// The same, but what came from a cache is a tenth.
const CACHED_FOR_LESS: &str = "[[price]]\nprovider = 'openai'\n[price.rates]\n'input.text' = '1'\n\
     'input.cache_read' = '0.1'\n'output.text' = '1'\n'output.reasoning' = '1'\n\
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
fn a_local_server_is_free_until_it_has_a_price_per_hour() {
    let gate = Gate::open();
    let chat = json!({"model": "standin", "messages": [], "stream": false});
    let call = || gate.send(&Call::post("/ollama/api/chat", &chat)).body().expect("whole");
    call();
    let free = gate.receipts_of(1).remove(0);
    assert_eq!((&free["cost"], &free["cost_state"]), (&json!("0"), &json!("free")));
    let own = "[[price]]\nprovider = 'ollama'\nrates = { 'server.seconds' = '3.6/h' }\n";
    fs::write(gate.home().join("prices.toml"), own).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    call();
    let timed = gate.receipts_of(2).remove(1);
    // 3.60 an hour is a millionth a millisecond.
    let latency = timed["latency_ms"].as_u64().expect("a duration");
    let cost = format!("0.{latency:06}");
    let cost = if latency == 0 { "0" } else { cost.trim_end_matches('0') };
    assert_eq!((&timed["cost"], &timed["cost_state"]), (&json!(cost), &json!("priced")), "{timed}");
    // By these prices the first call had its price too, and the second keeps its own.
    let order = ["reprice", "--reason", "it is no gift", "--json"];
    let done: Value = serde_json::from_str(&gate.says(&order)).expect("JSON");
    assert_eq!((&done["changed"], &done["unchanged"]), (&json!(1), &json!(1)), "{done}");
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

/// A receipt in the ledger of `gate` as a reader left it that took cached tokens for fresh ones.
fn misread(gate: &mut Gate) -> Value {
    call(gate);
    let right = gate.receipts_of(1).remove(0);
    gate.kill();
    let mut receipt: Receipt = serde_json::from_value(right.clone()).expect("a receipt");
    let at = receipt.started_at;
    receipt.id = ReceiptId::new(at, 7, 7);
    let whole = receipt.lines.iter().filter(|line| line.factor.name().starts_with("input."));
    receipt.lines[0].count = whole.map(|line| line.count).sum();
    receipt.lines[0].factor = "input.text".parse().expect("a factor");
    receipt.lines.retain(|line| !line.factor.name().starts_with("input.cache"));
    let ledger = Ledger::open(gate.home()).expect("the gate let go of it");
    ledger.recorder().open(&receipt).finish(receipt);
    ledger.close(Duration::from_secs(10));
    right
}

#[test]
fn usage_that_was_read_wrongly_is_read_again_from_what_the_provider_said() {
    let mut gate = Gate::open();
    let right = misread(&mut gate);
    fs::write(gate.home().join("prices.toml"), CACHED_FOR_LESS).expect("a file");
    let again = |gate: &Gate, more: &[&str]| -> Value {
        let order = ["reprice", "--reread", "--reason", "cached tokens were misread", "--json"];
        serde_json::from_str(&gate.says(&[&order, more].concat())).expect("JSON")
    };
    let preview = again(&gate, &[]);
    assert_eq!((&preview["changed"], &preview["reread"]), (&json!(2), &json!(1)), "{preview}");
    assert!(gate.receipts().iter().all(|receipt| receipt["settlements"] == json!([])));
    assert_eq!(again(&gate, &["--yes"])["appended"], true);
    assert_eq!(again(&gate, &["--yes"])["unchanged"], 2, "there is no third reading");

    let (mended, other): (Vec<Value>, Vec<Value>) = gate
        .receipts()
        .into_iter()
        .partition(|receipt| receipt["settlements"][0]["reason"] == "reread");
    let ([mended], [other]) = (&*mended, &*other) else { panic!("one was misread") };
    assert_eq!(count(mended, "input.cache_read"), None, "the receipt stays what it was");
    let counts = |lines: &Value| -> Vec<(Value, Value)> {
        let lines = lines.as_array().expect("lines").iter();
        lines.map(|line| (line["factor"].clone(), line["count"].clone())).collect()
    };
    assert_eq!(counts(&mended["settlements"][0]["lines"]), counts(&right["lines"]));
    assert_eq!(mended["settlements"][0]["usage_state"], "reported");
    assert_eq!(mended["settlements"][0]["cost"], other["settlements"][0]["cost"]);
    let id = mended["id"].as_str().expect("an id");
    assert!(gate.says(&["show", id]).contains("Read again and re-priced"));
    gate.says(&["doctor", "--verify"]);
}
