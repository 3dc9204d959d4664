//! What a client says of its own call in the body comes back as tags everywhere, and what its
//! receipt says comes back to it.

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::Gate;

fn asks(metadata: Value) -> Value {
    let words = json!([{"role": "user", "content": "say hello"}]);
    json!({"model": "standin", "max_tokens": 9, "messages": words, "metadata": metadata})
}

#[test]
fn labels_of_a_body_are_tags_in_every_view() {
    let gate = Gate::open();
    for metadata in [
        json!({"user_id": "ann", "segment": "pro", "workflow": "nightly"}),
        json!({"user_id": "bob", "segment": "free", "variant": "=b,\u{7}c"}),
        json!({"user_id": "ann", "experiment": {"deep": ["PLANTED"]}}),
    ] {
        let call = Call::post("/v1/messages", &asks(metadata)).header("x-api-key", "sk-1");
        drop(gate.send(&call).remains());
    }
    gate.receipts_of(3);
    let read = |arguments: &[&str]| -> Vec<Value> {
        let said = gate.says(arguments);
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let by_user = gate.says(&["usage", "--by", "tag:user"]);
    let calls_of = |user: &str| {
        let row = by_user.lines().find(|row| row.contains(user));
        let words = row.unwrap_or_else(|| panic!("{by_user}")).split_whitespace();
        words.skip_while(|word| *word != user).nth(1).map(str::to_owned)
    };
    assert_eq!((calls_of("ann").as_deref(), calls_of("bob").as_deref()), (Some("2"), Some("1")));
    assert_eq!(read(&["requests", "--tag", "user=ann", "--json"]).len(), 2);
    assert_eq!(read(&["requests", "--tag", "workflow=nightly", "--json"]).len(), 1);
    let exported = gate.says(&["export", "--format", "csv"]);
    assert!(exported.contains("nightly") && exported.contains("=b, c"), "{exported}");
    assert!(!exported.contains("PLANTED"));
}

#[test]
fn a_client_that_asks_hears_what_its_receipt_says() {
    let gate = Gate::open();
    let call = Call::post("/v1/messages", &asks(json!({"workflow": "nightly"})))
        .header("x-api-key", "sk-1")
        .header("x-tollgate-meta", "1")
        .header("x-tollgate-customer-data", "order 7");
    let (answer, broken) = gate.send(&call).remains();
    assert!(broken.is_none());
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let (meta, receipt) = (&answer["meta"], gate.receipt());
    for name in ["status", "workspace", "currency", "cost_state", "attempts"] {
        assert_eq!(meta[name], receipt[name], "{name}");
    }
    assert_eq!(meta["receipt"], receipt["id"]);
    assert_eq!(meta["used_model"], receipt["model"]);
    assert_eq!(meta["duration_ms"], receipt["latency_ms"]);
    assert_eq!((&meta["workflow"], &meta["customer_data"]), (&json!("nightly"), &json!("order 7")));
    assert_eq!(meta["cost"], receipt.get("cost").cloned().unwrap_or_default());
}
