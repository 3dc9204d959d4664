//! What an OpenTelemetry collector is told: through a real one (rotel), decoded by OpenTelemetry's
//! own protobuf, held against the receipts; and what a collector that is not there costs.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use standin::client::Call;

use crate::contract::bearer;
use crate::gate::{Gate, PATIENCE, Setup, count, wait_until};
use crate::{exchange, sdk};

/// `collector.py` and what it has been told so far.
struct Collector {
    process: Child,
    port: u16,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// Nothing where Python is not set up.
    fn start(argument: &str) -> Option<Self> {
        let python = sdk::installed(".venv/bin/python")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/collector.py");
        let mut command = Command::new(python);
        command.arg(script).arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it can be run");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut first = String::new();
        output.read_line(&mut first).expect("its port");
        let told = Arc::<Mutex<Vec<Value>>>::default();
        let into = Arc::clone(&told);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let what = serde_json::from_str(&line).expect("JSON");
                into.lock().expect("nobody panics holding it").push(what);
            }
        });
        Some(Self { process, port: first.trim().parse().expect("a port"), told })
    }

    fn told(&self) -> Vec<Value> {
        self.told.lock().expect("nobody panics holding it").clone()
    }

    /// The spans, once there are so many.
    fn spans(&self, wanted: usize) -> Vec<Value> {
        let spans = || self.told().into_iter().filter(|told| told["span"].is_string());
        wait_until(&format!("the collector knows {wanted} spans"), || spans().count() >= wanted);
        let spans: Vec<Value> = spans().collect();
        assert_eq!(spans.len(), wanted, "{spans:#?}");
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It ends with its standard input, and the collector behind it with it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn gate(port: u16, more: &str) -> Gate {
    let more =
        format!("[otlp]\nendpoint = \"http://127.0.0.1:{port}\"\nevery_seconds = 1\n{more}\n");
    Gate::open_with(Setup { more, ..Setup::default() })
}

fn chat(stream: bool) -> Call {
    let said = json!([{"role": "user", "content": "planted-prompt"}]);
    let body = json!({"model": "standin", "messages": said, "stream": stream});
    Call::post("/v1/chat/completions", &body).bearer("planted-secret")
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNKEPT: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn a_real_collector_gets_one_trace_a_call_equal_to_its_receipt() {
    let Some(collector) = Collector::start("rotel") else { return };
    let gate = gate(collector.port, "");
    std::fs::write(gate.home().join("prices.toml"), exchange::OWN).expect("a file");
    gate.says(&["prices", "override", "--check"]);
    gate.send(&chat(false).header("x-tollgate-tag-team", "red")).body().expect("whole");
    gate.send(&chat(true).header("traceparent", PARENT)).body().expect("whole");
    gate.send(&chat(false).play("status=429")).body().expect("whole");
    gate.send(&chat(false).header("traceparent", UNKEPT)).body().expect("whole");
    let denied = Call::post("/v1/chat/completions", &json!({"model": "standin"}));
    gate.send(&denied).body().expect("whole");
    let receipts = gate.receipts_of(5);
    let spans = collector.spans(4 + 3);
    for (number, receipt) in receipts.iter().enumerate() {
        let id = &receipt["id"];
        let of = |span: &&Value| span["attributes"]["tollgate.receipt"] == *id;
        let Some(call) = spans.iter().find(of) else {
            assert_eq!(number, 3, "its client keeps no trace: {receipt:#}");
            continue;
        };
        let attempts: Vec<&Value> = spans.iter().filter(|s| s["parent"] == call["span"]).collect();
        assert_eq!(attempts.len(), receipt["attempts"].as_array().expect("a list").len());
        agree(call, &attempts, receipt);
    }
    let own = receipts[0]["id"].as_str().expect("an id").replace('-', "");
    assert_eq!(spans.iter().filter(|span| span["trace"] == *own).count(), 2);
    let theirs: Vec<&Value> = spans.iter().filter(|s| PARENT.contains(text(&s["trace"]))).collect();
    assert_eq!(theirs.len(), 2);
    assert!(theirs.iter().any(|span| PARENT.contains(text(&span["parent"]))));
    let told = format!("{:?}", collector.told());
    assert!(!told.contains("planted"), "neither content nor secrets");
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A call's spans say what its receipt says.
fn agree(call: &Value, attempts: &[&Value], receipt: &Value) {
    let says = &call["attributes"];
    assert_eq!((&call["service"], &call["kind"]), (&json!("tollgate"), &json!("SPAN_KIND_SERVER")));
    for (name, field) in [
        ("tollgate.status", "status"),
        ("tollgate.workspace", "workspace"),
        ("tollgate.cost", "cost"),
        ("tollgate.cost_state", "cost_state"),
        ("http.response.status_code", "http_status"),
    ] {
        assert_eq!(says[name], receipt[field], "{name} of {call:#} {receipt:#}");
    }
    assert_eq!(says["tollgate.tag.team"], receipt["tags"]["team"]);
    assert_eq!(call["failed"], json!(receipt["status"] != "succeeded"));
    let took = call["end"].as_u64().zip(call["start"].as_u64()).map(|(end, start)| end - start);
    assert_eq!(took, receipt["latency_ms"].as_u64().map(|ms| ms * 1_000_000));
    let Some(last) = attempts.last() else { return };
    assert!(attempts.iter().all(|one| one["trace"] == call["trace"]));
    assert_eq!(last["name"], "chat standin");
    assert_eq!(last["kind"], "SPAN_KIND_CLIENT");
    let says = &last["attributes"];
    assert_eq!(says["gen_ai.operation.name"], "chat");
    assert_eq!(says["gen_ai.provider.name"], "openai");
    assert_eq!(says["gen_ai.response.model"], receipt["model"]);
    assert_eq!(says["gen_ai.response.id"], receipt["response_id"]);
    assert_eq!(says["gen_ai.response.finish_reasons"][0], receipt["finish_reason"]);
    assert_eq!(says["gen_ai.usage.input_tokens"].as_u64(), count(receipt, "input."));
    assert_eq!(says["gen_ai.usage.output_tokens"].as_u64(), count(receipt, "output."));
    let read = count(receipt, "input.cache_read");
    assert_eq!(says["gen_ai.usage.cache_read.input_tokens"].as_u64(), read);
    assert_eq!(says["server.address"], "127.0.0.1");
    let failed = (receipt["status"] == "error").then_some("429");
    assert_eq!(says["error.type"].as_str(), failed);
}

#[test]
fn a_real_collector_gets_the_histograms_of_the_conventions() {
    let Some(collector) = Collector::start("rotel") else { return };
    let gate = gate(collector.port, "");
    for _ in 0..3 {
        gate.send(&chat(false)).body().expect("whole");
    }
    gate.send(&chat(false).play("status=500")).body().expect("whole");
    let receipts = gate.receipts_of(4);
    let tokens =
        |side: &str| receipts.iter().filter_map(|receipt| count(receipt, side)).sum::<u64>();
    let point = |metric: &str, label: (&str, Value)| {
        let told = collector.told();
        let of = |p: &&Value| p["metric"] == metric && p["attributes"][label.0] == label.1;
        told.iter().rfind(of).cloned()
    };
    let is = |metric: &str, label: (&str, Value), counted: u64| {
        wait_until(&format!("{metric} {label:?} counts {counted}"), || {
            point(metric, label.clone()).is_some_and(|point| point["count"] == counted)
        });
        point(metric, label.clone()).expect("it is there")
    };
    let duration = "gen_ai.client.operation.duration";
    is(duration, ("error.type", Value::Null), 3);
    is(duration, ("error.type", json!("500")), 1);
    for (side, factor) in [("input", "input."), ("output", "output.")] {
        let point = is("gen_ai.client.token.usage", ("gen_ai.token.type", json!(side)), 3);
        assert_eq!(
            point["sum"].as_f64().map(|sum| sum.to_string()),
            Some(tokens(factor).to_string())
        );
        assert_eq!(point["unit"], "{token}");
    }
}

#[test]
fn what_happened_while_the_collector_was_away_is_told_when_it_is_back() {
    let away = TcpListener::bind(("127.0.0.1", 0)).and_then(|held| held.local_addr());
    let port = away.expect("a free port").port();
    if sdk::installed(".venv/bin/python").is_none() {
        return;
    }
    let gate = gate(port, "");
    for _ in 0..5 {
        assert_eq!(gate.send(&chat(false)).status(), 200);
    }
    gate.receipts_of(5);
    let reader = bearer(&gate, "usage:read");
    let status = || status(&gate, &reader);
    wait_until("it says that nobody is there", || status()["problem"].is_string());
    let Some(collector) = Collector::start(&port.to_string()) else { return };
    collector.spans(10);
    wait_until("it says that all is well", || status()["problem"].is_null());
    assert_eq!((&status()["sent"], &status()["dropped"]), (&json!(5), &json!(0)));
}

fn status(gate: &Gate, reader: &str) -> Value {
    let reply = gate.send(&Call::get("/api/v1/status").bearer(reader));
    reply.json().expect("JSON")["otlp"].clone()
}

#[test]
fn a_collector_that_hangs_holds_up_no_call_and_what_finds_no_place_is_counted() {
    // It takes connections and never answers.
    let hanging = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let gate = gate(hanging.local_addr().expect("bound").port(), "");
    let denied = Call::post("/v1/chat/completions", &json!({"model": "standin"}));
    let calls = 2048 + 256 + 50;
    for _ in 0..calls {
        assert_eq!(gate.send(&denied).status(), 401);
    }
    let status = status(&gate, &bearer(&gate, "usage:read"));
    assert_eq!(status["sent"], 0);
    assert!(status["dropped"].as_u64().is_some_and(|dropped| dropped >= 50), "{status}");
    gate.ask_to_stop();
    let mut gate = gate;
    let (ended, _) = gate.ended();
    assert!(ended.success(), "it stops although nobody listens, within {PATIENCE:?}");
}

#[test]
fn upstream_hears_of_a_trace_from_the_client_or_when_the_user_wants_it() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = silent.local_addr().expect("bound").port();
    for (more, theirs) in [("", None), ("propagate = true", Some("00-"))] {
        let gate = gate(port, more);
        gate.send(&chat(false)).body().expect("whole");
        gate.send(&chat(false).header("traceparent", PARENT)).body().expect("whole");
        let seen = gate.upstream_saw(2);
        let told: Vec<Option<&str>> = seen.iter().map(|seen| seen.header("traceparent")).collect();
        assert_eq!(told[0].map(|told| &told[..3]), theirs, "{told:?}");
        assert_eq!(told[1], Some(PARENT), "a client's own is not touched");
        let receipts = gate.receipts_of(2);
        let noted = receipts[0]["trace_id"].as_str();
        assert_eq!(noted.is_some(), theirs.is_some(), "and the receipt says so");
        assert!(noted.is_none_or(|noted| told[0].is_some_and(|told| told.contains(noted))));
    }
}
