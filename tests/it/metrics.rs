//! What a monitoring system is told: read by Prometheus' own parser, held against the ledger.

use std::process::Command;

use serde_json::{Value, json};
use standin::client::Call;

use crate::contract::bearer;
use crate::gate::{Gate, Setup, count};
use crate::{exchange, sdk};

fn gate() -> Gate {
    Gate::open_with(Setup { more: "[metrics]\nenabled = true\n".to_owned(), ..Setup::default() })
}

fn chat(model: &str) -> Call {
    let hello = json!([{"role": "user", "content": "hi"}]);
    Call::post("/v1/chat/completions", &json!({"model": model, "messages": hello}))
        .bearer("planted")
}

/// Every sample, as the parser read it.
fn samples(gate: &Gate) -> Option<Vec<Value>> {
    let python = sdk::installed(".venv/bin/python")?;
    let bearer = bearer(gate, "usage:read");
    let mut command = Command::new(python);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/metrics.py");
    let said = sdk::run(command.args([script, &gate.origin(), &bearer]));
    Some(said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// The sum of the samples of this name with these labels.
fn sum(samples: &[Value], name: &str, labels: &[(&str, &str)]) -> f64 {
    let named = samples.iter().filter(|sample| sample["name"] == name);
    let these = named.filter(|s| labels.iter().all(|(label, value)| s["labels"][label] == *value));
    these.map(|sample| sample["value"].as_f64().expect("a number")).sum()
}

#[test]
fn metrics_are_off_until_the_user_wants_them_and_then_need_a_pass() {
    let gate = Gate::open();
    let reader = bearer(&gate, "usage:read");
    let off = gate.send(&Call::get("/metrics").bearer(&reader));
    assert_eq!(off.status(), 404);
    assert!(off.json().expect("JSON")["error"]["hint"].to_string().contains("[metrics]"));
    let gate = self::gate();
    assert_eq!(gate.send(&Call::get("/metrics")).status(), 401);
    let caller = bearer(&gate, "call");
    assert_eq!(gate.send(&Call::get("/metrics").bearer(&caller)).status(), 403);
}

#[test]
fn a_monitoring_system_reads_what_the_ledger_says() {
    let gate = gate();
    gate.send(&chat("standin")).body().expect("whole");
    gate.send(&chat("standin")).body().expect("whole");
    gate.send(&chat("standin").play("status=429")).body().expect("whole");
    gate.send(&chat("x\"} 1\n\\").play("status=500")).body().expect("whole");
    gate.send(&Call::post("/v1/chat/completions", &json!({"model": "y"}))).body().expect("whole");
    gate.send(&Call::post("/demo/v1/chat/completions", &json!({"model": "demo", "messages": []})))
        .body()
        .expect("whole");
    let receipts = gate.receipts_of(5);
    let Some(samples) = samples(&gate) else { return };
    let total =
        |name: &str, labels: &[(&str, &str)]| sum(&samples, &format!("tollgate_{name}"), labels);
    let is = |got: f64, wanted: u64| assert_eq!(got.to_string(), wanted.to_string());
    is(total("requests_total", &[]), 5);
    is(total("requests_total", &[("status", "succeeded"), ("model", "standin")]), 2);
    is(total("requests_total", &[("status", "denied"), ("kind", "chat")]), 1);
    is(total("requests_in_flight", &[]), 0);
    is(total("errors_total", &[("class", "rate_limited")]), 1);
    is(total("errors_total", &[("class", "upstream"), ("model", "other")]), 1);
    let used = |factor: &str| receipts.iter().filter_map(|r| count(r, factor)).sum::<u64>();
    for factor in ["input.text", "input.cache_read", "output.text", "output.reasoning"] {
        is(total("tokens_total", &[("factor", factor)]), used(factor));
    }
    assert!(used("output.text") > 0);
    is(total("latency_seconds_count", &[]), 5);
    is(total("latency_seconds_bucket", &[("le", "+Inf")]), 5);
    is(total("receipts_recorded_total", &[]), 6);
    is(total("ledger_up", &[]), 1);
    let unknown = receipts.iter().filter(|receipt| receipt["cost"].is_null()).count() as u64;
    is(total("requests_without_cost_total", &[]), unknown);
}

#[test]
fn what_calls_came_to_is_counted_by_currency() {
    let gate = gate();
    std::fs::write(gate.home().join("prices.toml"), exchange::OWN).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    gate.send(&chat("standin")).body().expect("whole");
    let receipts = gate.receipts_of(1);
    let Some(samples) = samples(&gate) else { return };
    let cost: f64 = receipts[0]["cost"].as_str().expect("it has a price").parse().expect("decimal");
    let told = sum(&samples, "tollgate_cost_total", &[("currency", "USD")]);
    assert_eq!(told.to_bits(), cost.to_bits());
}
