//! Reports in another currency: what was charged stays beside it, at rates the user entered.

use std::fs;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, count};

/// A dollar a million tokens.
pub(crate) const OWN: &str = "[[price]]\nprovider = 'openai'\n[price.rates]\n'input.text' = '1'\n\
     'input.cache_read' = '1'\n'output.text' = '1'\n'output.reasoning' = '1'\n\
     'input.cache_write' = '1'\n";

fn gate() -> Gate {
    let gate = Gate::open();
    fs::write(gate.home().join("prices.toml"), OWN).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    let chat = json!({"model": "standin", "messages": []});
    let call = Call::post("/v1/chat/completions", &chat).bearer("planted");
    gate.send(&call).body().expect("whole");
    gate.receipts_of(1);
    gate
}

fn asked(gate: &Gate, arguments: &[&str]) -> Value {
    serde_json::from_str(&gate.says(arguments)).expect("JSON")
}

/// Half of a dollar a million tokens.
fn half(gate: &Gate) -> String {
    let receipt = gate.receipt();
    let tokens = count(&receipt, "input.").unwrap_or(0) + count(&receipt, "output.").unwrap_or(0);
    format!("0.{:07}", tokens * 5).trim_end_matches('0').to_owned()
}

#[test]
fn a_report_says_the_cost_the_converted_cost_and_the_rate_with_its_day() {
    let gate = gate();
    gate.says(&["exchange", "set", "2020-01-01", "USD", "EUR", "0.7"]);
    gate.says(&["exchange", "set", "2020-01-02", "EUR", "usd", "2"]);
    let half = half(&gate);
    let cost = gate.receipt()["cost"].clone();
    let usage = asked(&gate, &["usage", "--by", "model", "--currency", "eur", "--json"]);
    for figures in [&usage["totals"], &usage["rows"][0]] {
        assert_eq!(figures["cost"], cost, "{usage}");
        let converted = json!({"currency": "EUR", "cost": half, "unconverted": {}});
        assert_eq!(figures["converted"], converted, "{usage}");
    }
    let rate = json!({"from": "USD", "rate": "1 EUR = 2 USD", "on": "2020-01-02",
                      "amount": cost, "cost": half});
    assert_eq!(usage["exchange"], json!([rate]));
    let said = gate.says(&["usage", "--currency", "EUR"]);
    assert!(said.contains("at 1 EUR = 2 USD of 2020-01-02"), "{said}");

    let listed = asked(&gate, &["requests", "--currency", "EUR", "--json"]);
    let of_receipt =
        json!({"currency": "EUR", "cost": half, "rate": "1 EUR = 2 USD", "on": "2020-01-02"});
    assert_eq!((&listed["cost"], &listed["converted"]), (&cost, &of_receipt));
    let exported = asked(&gate, &["export", "--format", "jsonl", "--currency", "EUR"]);
    assert_eq!(exported["converted"], of_receipt);
    let csv = gate.says(&["export", "--format", "csv", "--currency", "EUR"]);
    assert!(csv.lines().next().expect("a header").ends_with("exchange_rate_date"), "{csv}");
    assert!(csv.trim_end().ends_with(&format!(",EUR,{half},1 EUR = 2 USD,2020-01-02")), "{csv}");
    assert!(!gate.says(&["export", "--format", "csv"]).contains("exchange_rate"));
}

#[test]
fn days_before_the_first_rate_are_not_converted_and_that_is_said() {
    let gate = gate();
    gate.says(&["exchange", "set", "2999-01-01", "USD", "EUR", "0.7"]);
    let usage = asked(&gate, &["usage", "--currency", "EUR", "--json"]);
    let cost = gate.receipt()["cost"].clone();
    let converted = json!({"currency": "EUR", "cost": null, "unconverted": {"USD": cost}});
    assert_eq!(usage["totals"]["converted"], converted);
    let told = gate.command(&["usage", "--currency", "EUR"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("before the first exchange rate from USD to EUR"), "{told}");
    let listed = asked(&gate, &["requests", "--currency", "EUR", "--json"]);
    assert_eq!(listed["converted"], Value::Null);
}

#[test]
fn a_running_process_answers_with_the_rates_of_now() {
    let gate = gate();
    let pass = gate.says(&["passes", "add", "reader", "--scope", "usage:read"]);
    let secret = pass.split_whitespace().find(|word| word.starts_with("tg_")).expect("a secret");
    let converted = || -> Value {
        let reply = gate.send(&Call::get("/api/v1/usage?currency=EUR").bearer(secret));
        let body = reply.body().expect("whole");
        let usage: Value = serde_json::from_slice(&body).expect("JSON");
        usage["totals"]["converted"]["cost"].clone()
    };
    assert_eq!(converted(), Value::Null);
    gate.says(&["exchange", "set", "2020-01-01", "USD", "EUR", "0.5"]);
    assert_eq!(converted(), *half(&gate));
    gate.says(&["exchange", "remove", "2020-01-01", "USD", "EUR"]);
    assert_eq!(converted(), Value::Null);
    fs::write(gate.home().join("exchange-rates.csv"), "2020-01-01,USD,EUR,a lot\n")
        .expect("a file");
    let reply = gate.send(&Call::get("/api/v1/usage?currency=EUR").bearer(secret));
    assert_eq!(reply.status(), 409);
    let said = String::from_utf8(reply.body().expect("whole")).expect("text");
    assert!(said.contains("line 1") && said.contains("a lot"), "{said}");
}

#[test]
fn the_central_bank_s_table_is_imported() {
    let gate = gate();
    let table = gate.home().join("eurofxref-hist.csv");
    let text = "Date,USD,CNY,RUB,\n2020-01-03,4,8,N/A,\n2020-01-02,2,8,1,\n2019-12-31,3,3,3,\n";
    fs::write(&table, text).expect("a file");
    let file = table.to_str().expect("text");
    gate.says(&["exchange", "import", file, "--since", "2020-01-01"]);
    assert_eq!(gate.says(&["exchange", "list", "--json"]).lines().count(), 5);
    let usage = asked(&gate, &["usage", "--currency", "CNY", "--json"]);
    assert_eq!(usage["exchange"][0]["rate"], "1 EUR = 4 USD, 1 EUR = 8 CNY");
    let wrong = gate.command(&["exchange", "import", "-"]);
    assert!(!wrong.status.success());
}
