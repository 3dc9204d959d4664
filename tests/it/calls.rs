//! One call in, one true receipt out; bytes untouched both ways. Every format, streamed
//! and whole, plain and encoded.

use serde_json::{Value, json};
use standin::client::Call;
use standin::seen::sha256;

use crate::gate::{Gate, Setup, assert_usage, count};

/// A sort of call: path, body, format and kind its receipt must name.
struct Sort {
    path: &'static str,
    body: Value,
    format: &'static str,
    kind: &'static str,
    streams: bool,
}

const MODEL: &str = "gemini/v1beta/models/standin";

fn sorts() -> Vec<Sort> {
    let words = json!([{"role": "user", "content": "say hello"}]);
    let chat = json!({"messages": words, "model": "standin"});
    let with = |body: &Value, key: &str, value: Value| {
        let mut body = body.clone();
        body[key] = value;
        body
    };
    let asked = with(&chat, "stream_options", json!({"include_usage": true}));
    let message = with(&chat, "max_tokens", json!(64));
    let response = json!({"input": "say hello", "model": "standin"});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "say hello"}]}]});
    let legacy = json!({"prompt": "say hello", "model": "standin"});
    let stream = |body: &Value| with(body, "stream", json!(true));
    let sort = |path, body: &Value, format, kind, streams| Sort {
        path,
        body: body.clone(),
        format,
        kind,
        streams,
    };
    let (generate, sse, array) = (
        "/gemini/v1beta/models/standin:generateContent",
        "/gemini/v1beta/models/standin:streamGenerateContent?alt=sse",
        "/gemini/v1beta/models/standin%3AstreamGenerateContent",
    );
    vec![
        sort("/openai/v1/chat/completions", &chat, "openai-chat", "chat", false),
        sort("/v1/chat/completions", &stream(&asked), "openai-chat", "chat", true),
        sort("/groq/openai/v1/chat/completions", &stream(&asked), "openai-chat", "chat", true),
        sort("/v1/completions", &legacy, "openai-completions", "completion", false),
        sort("/v1/embeddings", &response, "openai-embeddings", "embedding", false),
        sort("/v1/responses", &response, "openai-responses", "chat", false),
        sort("/v1/responses", &stream(&response), "openai-responses", "chat", true),
        sort("/v1/messages", &message, "anthropic-messages", "chat", false),
        sort(
            "/anthropic/v1/messages?beta=true",
            &stream(&message),
            "anthropic-messages",
            "chat",
            true,
        ),
        sort(generate, &gemini, "gemini-generate", "chat", false),
        sort(sse, &gemini, "gemini-generate", "chat", true),
        sort(array, &gemini, "gemini-generate", "chat", true),
        sort(
            "/ollama/api/chat",
            &with(&chat, "stream", json!(false)),
            "ollama-native",
            "chat",
            false,
        ),
        sort("/ollama/api/chat", &chat, "ollama-native", "chat", true),
        sort("/ollama/api/generate", &legacy, "ollama-native", "completion", true),
    ]
}

impl Sort {
    fn call(&self, play: &str) -> Call {
        let call = Call::post(self.path, &self.body).play(play).header("X-Case", "Kept As Sent");
        if self.path.contains(MODEL) {
            call.header("x-goog-api-key", "planted")
        } else if self.format.starts_with("anthropic") {
            call.header("x-api-key", "planted").header("anthropic-version", "2023-06-01")
        } else {
            call.bearer("planted")
        }
    }
}

/// Sends every sort of call with this play and holds bytes and receipts against the stand-in's word.
fn every_sort_survives(play: &str) {
    let gate = Gate::open();
    let sorts = sorts();
    let mut bodies = Vec::new();
    for sort in &sorts {
        let reply = gate.send(&sort.call(play));
        assert_eq!(reply.status(), 200, "{}", sort.path);
        let id =
            reply.header("x-tollgate-receipt").expect("every answer names its receipt").to_owned();
        bodies.push((id, reply.body().expect("a whole body")));
    }
    let receipts = gate.receipts_of(sorts.len());
    let seen = gate.upstream_saw(sorts.len());
    for (((sort, (id, body)), receipt), seen) in sorts.iter().zip(&bodies).zip(&receipts).zip(&seen)
    {
        let path = sort.path;
        assert_eq!(receipt["id"], **id, "{path}");
        assert_eq!(
            seen.sent_sha256.as_deref(),
            Some(&*sha256(body)),
            "{path}: the body was changed"
        );
        assert_eq!(
            seen.body(),
            sort.body.to_string().as_bytes(),
            "{path}: the request was changed"
        );
        assert_eq!(seen.header("X-Case"), Some("Kept As Sent"));
        assert!(path.ends_with(&seen.target), "{path} reached upstream as {}", seen.target);
        assert_usage(receipt, seen);
        assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
        assert_eq!(receipt["http_status"], 200);
        assert_eq!(receipt["format"], sort.format, "{path}");
        assert_eq!(receipt["kind"], sort.kind, "{path}");
        assert_eq!(receipt["stream"], sort.streams, "{path}");
        assert_eq!(receipt["model"], "standin", "{path}");
        assert_eq!(receipt["model_requested"], "standin", "{path}");
        assert_eq!(receipt["response_bytes"], body.len(), "{path}");
        assert_eq!(receipt["ttft_ms"].is_null(), !sort.streams, "{path}: {receipt:#}");
    }
}

#[test]
fn every_format_leaves_one_true_receipt_and_untouched_bytes() {
    every_sort_survives("chunks=7");
}

#[test]
fn bytes_that_come_one_by_one_are_read_all_the_same() {
    every_sort_survives("bytes;chunks=3");
}

#[test]
fn gzip_is_read_and_passed_on_as_it_is() {
    every_sort_survives("coding=gzip");
}

#[test]
fn brotli_is_read_and_passed_on_as_it_is() {
    every_sort_survives("coding=br");
}

#[test]
fn many_zstd_frames_are_read_and_passed_on_as_they_are() {
    every_sort_survives("coding=zstd");
}

#[test]
fn text_that_is_not_utf8_is_passed_on_as_it_is() {
    every_sort_survives("latin");
}

fn unasked_stream() -> Call {
    let body = json!({"model": "standin", "stream": true,
        "messages": [{"role": "user", "content": "say hello"}]});
    Call::post("/v1/chat/completions", &body).bearer("planted")
}

#[test]
fn usage_assist_asks_for_the_usage_and_takes_exactly_its_frame_out() {
    let gate = Gate::open();
    let body = gate.send(&unasked_stream()).body().expect("a whole body");
    let text = String::from_utf8(body).expect("text");
    assert!(!text.contains("prompt_tokens") && !text.contains("\"choices\":[]"), "{text}");
    assert_eq!(text.matches("data: {").count(), 7, "role, five pieces, finish: {text}");
    assert!(text.ends_with("data: [DONE]\n\n"));

    let receipt = gate.receipt();
    let seen = gate.upstream_saw(1).remove(0);
    assert_usage(&receipt, &seen);
    assert_eq!(receipt["assisted"], true);
    let sent: Value = serde_json::from_slice(seen.body()).expect("JSON");
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    let frame = text.lines().find(|line| line.contains("\"Hello\"")).expect("the first piece");
    assert!(frame.contains("\"usage\":null"), "frames beside the usage's stay as they are");
}

#[test]
fn without_usage_assist_nothing_is_touched_and_the_usage_is_an_estimate() {
    let gate = Gate::open_with(Setup { top: "usage_assist = false", ..Setup::default() });
    let body = gate.send(&unasked_stream()).body().expect("a whole body");
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.sent_sha256.as_deref(), Some(&*sha256(&body)));
    assert!(!String::from_utf8_lossy(seen.body()).contains("stream_options"));

    let receipt = gate.receipt();
    assert_eq!(receipt["status"], "succeeded");
    assert_eq!(receipt["usage_state"], "estimated", "{receipt:#}");
    assert_eq!(receipt["assisted"], false);
    assert!(count(&receipt, "input").is_some_and(|n| n > 0), "{receipt:#}");
    assert!(count(&receipt, "output").is_some_and(|n| n > 0), "{receipt:#}");
}

#[test]
fn a_client_that_says_no_to_usage_is_left_alone() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "stream": true, "stream_options": {"include_usage": false},
        "messages": []});
    let reply = gate.send(&Call::post("/v1/chat/completions", &body).bearer("planted"));
    let answer = reply.body().expect("a whole body");
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.body(), body.to_string().as_bytes());
    assert_eq!(seen.sent_sha256.as_deref(), Some(&*sha256(&answer)));
}

#[test]
fn counting_and_listing_cost_nothing_and_have_receipts() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "messages": []});
    let count = Call::post("/v1/messages/count_tokens", &body).header("x-api-key", "planted");
    gate.send(&count).body().expect("a whole body");
    gate.send(&Call::get("/v1/models").bearer("planted")).body().expect("a whole body");
    let receipts = gate.receipts_of(2);
    assert_eq!((&receipts[0]["kind"], &receipts[1]["kind"]), (&json!("count"), &json!("meta")));
    for receipt in &receipts {
        assert_eq!(receipt["status"], "succeeded");
        assert_eq!(receipt["usage_state"], "none", "{receipt:#}");
        assert_eq!(receipt["lines"], json!([]));
    }
}

#[test]
fn a_path_that_no_format_knows_is_passed_on_and_its_cost_is_unknown() {
    let gate = Gate::open();
    let call =
        Call::post("/openai/v9/some%2Fthing/echo?a=%20b&c", &json!({"x": 1})).bearer("planted");
    assert_eq!(gate.send(&call).json().expect("JSON"), json!({"ok": true}));
    let receipt = gate.receipt();
    assert_eq!(gate.upstream_saw(1)[0].target, "/v9/some%2Fthing/echo?a=%20b&c");
    assert_eq!(receipt["usage_state"], "missing", "{receipt:#}");
    assert!(receipt["cost"].is_null());
}

#[test]
fn refusals_of_upstream_pass_through_and_are_errors() {
    let gate = Gate::open();
    let cases: Vec<(Sort, u16)> =
        sorts().into_iter().zip([400, 401, 429, 500, 529].iter().copied().cycle()).collect();
    for (sort, status) in &cases {
        let reply = gate.send(&sort.call(&format!("status={status}")));
        assert_eq!(reply.status(), *status, "{}", sort.path);
        let body = String::from_utf8(reply.body().expect("a whole body")).expect("text");
        assert!(body.contains(&format!("asked for status {status}")), "{body}");
    }
    let receipts = gate.receipts_of(cases.len());
    for ((sort, status), receipt) in cases.iter().zip(&receipts) {
        assert_eq!(receipt["status"], "error", "{}: {receipt:#}", sort.path);
        assert_eq!(receipt["http_status"], *status);
        let message = receipt["error_message"].as_str().unwrap_or_default();
        assert!(message.contains("asked for status"), "{}: {receipt:#}", sort.path);
        assert_eq!(receipt["lines"], json!([]), "{receipt:#}");
    }
}

#[test]
fn an_error_inside_a_200_is_an_error_and_keeps_what_was_known() {
    let gate = Gate::open();
    let streams: Vec<Sort> = sorts().into_iter().filter(|sort| sort.streams).collect();
    for sort in &streams {
        gate.send(&sort.call("fail=4")).body().expect("a whole body");
    }
    for (sort, receipt) in streams.iter().zip(gate.receipts_of(streams.len())) {
        assert_eq!(receipt["status"], "error", "{}: {receipt:#}", sort.path);
        assert_eq!(receipt["http_status"], 200, "{}", sort.path);
    }
}
