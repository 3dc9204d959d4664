//! No prompt, no answer, no key in any file or log, at the loudest level.

use std::fs;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup, files_below};

const PROMPT: &str = "PLANTED-PROMPT-7f3a";
const ANSWER: &str = "PLANTED-ANSWER-91bc";
const KEY: &str = "sk-PLANTED-KEY-55d0";

fn calls() -> Vec<Call> {
    let words = json!([{"role": "user", "content": PROMPT}]);
    let chat = |stream: bool| {
        json!({"model": "standin", "stream": stream, "max_tokens": 9, "messages": words,
        "tools": [{"type": "function", "function": {"name": PROMPT, "parameters": {}}}]})
    };
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "systemInstruction": {"parts": [{"text": PROMPT}]}});
    let path = format!("/v1beta/models/standin:generateContent?key={KEY}");
    let mut calls = vec![
        Call::post(&path, &gemini),
        Call::post("/v1beta/models/standin:streamGenerateContent", &gemini)
            .header("x-goog-api-key", KEY),
        Call::post("/v1/embeddings", &json!({"model": "standin", "input": PROMPT})).bearer(KEY),
        Call::post("/ollama/api/chat", &chat(true)).bearer(KEY),
        Call::post("/v1/echo/unknown", &json!({PROMPT: PROMPT})).bearer(KEY),
        Call::post("/nobody/at/all", &json!({PROMPT: PROMPT})).bearer(KEY),
        Call::new("POST", "/v1/chat/completions", format!("{{\"model\": \"{PROMPT}, broken"))
            .bearer(KEY),
        Call::post("/v1/chat/completions", &chat(true))
            .header("authorization", &format!("Basic {KEY}")),
        Call::post("/v1/chat/completions", &chat(true)).header("cookie", &format!("session={KEY}")),
    ];
    for stream in [true, false] {
        calls.push(Call::post("/v1/messages", &chat(stream)).header("x-api-key", KEY));
        calls.push(Call::post("/v1/chat/completions", &chat(stream)).bearer(KEY));
        let response =
            json!({"model": "standin", "stream": stream, "input": PROMPT, "instructions": PROMPT});
        calls.push(Call::post("/v1/responses", &response).bearer(KEY));
    }
    calls
}

/// What the upstream does to each of them.
const PLAYS: [&str; 10] = [
    "",
    "status=400",
    "fail=3",
    "close=3",
    "coding=gzip",
    "badchunk=2",
    "garbage",
    "latin",
    "status=401;parrot",
    "status=422;parrot",
];

#[test]
fn no_prompt_answer_or_key_is_in_any_file_or_log() {
    let mut gate = Gate::open_with(Setup { log: Some("trace"), ..Setup::default() });
    let mut sent = 0;
    for play in PLAYS {
        for call in calls() {
            // How each of them ends is what other tests are about.
            drop(gate.send(&call.play(&format!("{play};say={ANSWER}"))).remains());
            sent += 1;
        }
    }
    let mut left = gate.send(&calls().remove(9).play(&format!("endless;delay=20;say={ANSWER}")));
    left.read_past(ANSWER).expect("the stream begins");
    drop(left);
    let receipts: Vec<Value> = gate.receipts_of(sent + 1);
    look_at("the receipts", json!(receipts).to_string().as_bytes());
    gate.ask_to_stop();
    let (_, printed) = gate.ended();
    look_at("what the process printed", printed.as_bytes());
    let files = files_below(gate.home());
    assert!(files.iter().any(|path| path.ends_with("ledger.db")), "{files:?}");
    for path in files {
        look_at(&path.display().to_string(), &fs::read(&path).expect("readable"));
    }
    for listing in [&["requests"][..], &["requests", "--json"], &["usage", "--by", "model"]] {
        look_at(&listing.join(" "), gate.says(listing).as_bytes());
    }
}

fn look_at(what: &str, bytes: &[u8]) {
    for planted in [PROMPT, ANSWER, KEY] {
        let at = bytes.windows(planted.len()).position(|window| window == planted.as_bytes());
        if let Some(at) = at {
            let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
            panic!("{planted} stands in {what}:\n{}", String::from_utf8_lossy(around));
        }
    }
}
