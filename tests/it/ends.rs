//! How calls end: cut, stalled, refused, cancelled. Whatever happens, one receipt says so.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin::client::{Call, Reply};
use standin::seen::End;

use crate::gate::{Gate, Setup, assert_usage, count};

fn chat(play: &str) -> Call {
    let body = json!({"model": "standin", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "say hello"}]});
    Call::post("/v1/chat/completions", &body).bearer("planted").play(play)
}

fn message(play: &str) -> Call {
    let body = json!({"model": "standin", "stream": true, "max_tokens": 64,
        "messages": [{"role": "user", "content": "say hello"}]});
    Call::post("/v1/messages", &body).header("x-api-key", "planted").play(play)
}

fn whole(play: &str) -> Call {
    let body = json!({"model": "standin", "messages": [{"role": "user", "content": "say hello"}]});
    Call::post("/v1/chat/completions", &body).bearer("planted").play(play)
}

/// Reads past this mark and goes away; upstream must notice at once.
fn leave_after(gate: &Gate, mut reply: Reply, mark: &str) {
    reply.read_past(mark).expect("the mark comes");
    drop(reply);
    let left = Instant::now();
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.end, Some(End::PeerLeft));
    assert!(left.elapsed() < Duration::from_secs(1), "upstream ran on for {:?}", left.elapsed());
}

#[test]
fn a_cancelled_stream_leaves_a_receipt_and_stops_upstream_at_once() {
    let gate = Gate::open();
    leave_after(&gate, gate.send(&chat("endless;delay=20")), "Hello");
    let receipt = gate.receipt();
    assert_eq!(receipt["status"], "cancelled", "{receipt:#}");
    assert_eq!(receipt["usage_state"], "estimated", "{receipt:#}");
    assert!(count(&receipt, "output").is_some_and(|n| n > 0), "{receipt:#}");
    assert!(receipt["ttft_ms"].is_number(), "{receipt:#}");
}

#[test]
fn a_cancelled_message_keeps_its_exact_input_and_estimates_its_output() {
    let gate = Gate::open();
    let play = "endless;delay=20;say=some words that count for more than three";
    leave_after(&gate, gate.send(&message(play)), "more than three");
    let receipt = gate.receipt();
    assert_eq!(receipt["status"], "cancelled", "{receipt:#}");
    assert_eq!(count(&receipt, "input.text"), Some(901));
    assert_eq!(count(&receipt, "input.cache_read"), Some(200));
    assert_eq!(count(&receipt, "input.cache_write_1h"), Some(25));
    let output: Vec<&Value> = lines(&receipt, "output.text");
    assert_eq!(output.len(), 1, "{receipt:#}");
    assert_eq!((&output[0]["basis"], &output[0]["bound"]), (&json!("estimated"), &json!("lower")));
    assert!(count(&receipt, "output.text").is_some_and(|n| n > 3), "the placeholder is no count");
}

fn lines<'a>(receipt: &'a Value, factor: &str) -> Vec<&'a Value> {
    receipt["lines"].as_array().into_iter().flatten().filter(|l| l["factor"] == *factor).collect()
}

#[test]
fn a_client_that_leaves_before_the_first_byte_is_cancelled() {
    let gate = Gate::open();
    let connection = standin::client::Connection::to(gate.address()).expect("it listens");
    let bytes = whole("ttfb=60000").bytes(gate.address());
    std::io::Write::write_all(&mut connection.stream(), &bytes).expect("it reads");
    gate.standin.wait_for(|seen| seen.iter().any(|s| s.upload.is_some()));
    drop(connection);
    assert_eq!(gate.upstream_saw(1)[0].end, Some(End::PeerLeft));
    let receipt = gate.receipt();
    assert_eq!(receipt["status"], "cancelled", "{receipt:#}");
    assert_eq!(receipt["http_status"], Value::Null);
}

#[test]
fn a_client_that_leaves_after_the_answer_but_before_its_usage_still_has_the_usage() {
    let gate = Gate::open();
    let mut reply = gate.send(&chat("chunks=2;delay=300"));
    reply.read_past("\"finish_reason\":\"stop\"").expect("the answer comes");
    drop(reply);
    let receipt = gate.receipt();
    let seen = gate.upstream_saw(1).remove(0);
    assert_usage(&receipt, &seen);
    assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
    assert_eq!(receipt["client_left_early"], true);
}

#[test]
fn an_upstream_that_nobody_listens_at_is_a_502_in_the_clients_own_words() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let more = format!(
        "[providers.down]\nbase_url = \"http://{address}\"\n[providers.lost]\nbase_url = \"http://no-such-host.invalid\"\n"
    );
    let gate = Gate::open_with(Setup { more, ..Setup::default() });
    for (path, shape) in [
        ("/down/v1/chat/completions", "error"),
        ("/lost/v1/chat/completions", "error"),
        ("/down/v1/messages", "anthropic"),
    ] {
        let reply = gate.send(&Call::post(path, &json!({"model": "m"})).bearer("planted"));
        assert_eq!(reply.status(), 502, "{path}");
        assert!(reply.header("x-tollgate-receipt").is_some());
        let body = reply.json().expect("JSON");
        assert!(body["error"]["message"].as_str().is_some_and(|m| m.len() > 20), "{body}");
        assert_eq!(body["type"] == "error", shape == "anthropic", "{body}");
    }
    for receipt in gate.receipts_of(3) {
        assert_eq!(receipt["status"], "error", "{receipt:#}");
        assert_eq!(receipt["http_status"], 502);
        assert_eq!(receipt["attempts"][0]["ended"], "unreachable", "{receipt:#}");
        assert_eq!(receipt["lines"], json!([]));
    }
}

#[test]
fn an_upstream_that_falls_silent_is_given_up_and_its_receipt_is_an_error() {
    let gate = Gate::open_with(Setup { top: "idle_timeout_seconds = 1", ..Setup::default() });
    let (before, failed) = gate.send(&message("stall=4")).remains();
    assert!(failed.is_some() && String::from_utf8_lossy(&before).contains("message_start"));
    let reply = gate.send(&whole("ttfb=60000"));
    assert_eq!(reply.status(), 504);
    let receipts = gate.receipts_of(2);
    assert_eq!(count(&receipts[0], "input.text"), Some(901), "{:#}", receipts[0]);
    for receipt in &receipts {
        assert_eq!(receipt["status"], "error", "{receipt:#}");
        assert_eq!(receipt["attempts"][0]["ended"], "timed_out", "{receipt:#}");
    }
}

#[test]
fn a_stream_that_breaks_off_breaks_off_for_the_client_too_and_is_an_error() {
    let gate = Gate::open();
    let plays = ["reset=5", "close=5", "badchunk=5"];
    for play in plays {
        let (before, failed) = gate.send(&message(play)).remains();
        assert!(failed.is_some(), "{play}: a cut stream must not look whole");
        let text = String::from_utf8_lossy(&before);
        assert!(
            text.contains("Hello") || play == "reset=5",
            "{play}: what came is passed on: {text}"
        );
    }
    for (play, receipt) in plays.iter().zip(gate.receipts_of(plays.len())) {
        assert_eq!(receipt["status"], "error", "{play}: {receipt:#}");
        assert_eq!(receipt["http_status"], 200);
        assert_eq!(receipt["attempts"][0]["ended"], "broken", "{play}: {receipt:#}");
        assert!(count(&receipt, "input.text").is_some_and(|n| n > 900) || *play == "reset=5");
    }
}

#[test]
fn a_stream_without_its_formats_end_is_no_success() {
    let gate = Gate::open();
    gate.send(&chat("cease=3")).body().expect("a proper end of the body");
    gate.send(&message("cease=5")).body().expect("a proper end of the body");
    for receipt in gate.receipts_of(2) {
        assert_eq!(receipt["status"], "error", "{receipt:#}");
    }
}

#[test]
fn answers_that_are_not_http_are_a_502_with_a_receipt() {
    let gate = Gate::open();
    for play in ["garbage", "lengths"] {
        let reply = gate.send(&whole(play));
        assert_eq!(reply.status(), 502, "{play}");
        assert!(reply.json().expect("JSON")["error"]["message"].is_string());
    }
    for receipt in gate.receipts_of(2) {
        assert_eq!(receipt["status"], "error", "{receipt:#}");
    }
}

#[test]
fn gzip_that_is_none_is_passed_on_and_its_receipt_says_unreadable() {
    let gate = Gate::open();
    let body = gate.send(&chat("coding=fakegzip")).body().expect("a whole body");
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.sent_sha256.as_deref(), Some(&*standin::seen::sha256(&body)));
    let receipt = gate.receipt();
    assert!(receipt["anomalies"].to_string().contains("unreadable"), "{receipt:#}");
    assert!(receipt["cost"].is_null());
}

#[test]
fn an_answer_that_hides_its_usage_has_no_cost() {
    let gate = Gate::open();
    gate.send(&message("nousage")).body().expect("a whole body");
    gate.send(&whole("nousage")).body().expect("a whole body");
    for receipt in gate.receipts_of(2) {
        assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
        assert_ne!(receipt["usage_state"], "reported", "{receipt:#}");
        assert_ne!(receipt["cost"], "0", "unknown is never 0");
    }
}

#[test]
fn redirects_are_handed_to_the_client() {
    let gate = Gate::open();
    assert_eq!(gate.send(&whole("status=302")).status(), 302);
    assert_eq!(gate.upstream_saw(1).len(), 1);
}
