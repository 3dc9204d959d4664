//! No prompt, no answer, no key, no pass in any file or log, at the loudest level.

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
    let data = json!({"model": "standin", "metadata": {"customer_data": {PROMPT: PROMPT}}});
    let told =
        |body| Call::post("/v1/completions", body).bearer(KEY).header("x-tollgate-meta", "1");
    calls.push(told(&data));
    calls.push(told(&chat(false)).header("x-tollgate-customer-data", PROMPT));
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

/// Keys that Tollgate keeps: one put in for a pass, one taken over from the environment.
const STORED: &str = "sk-PLANTED-STORED-e17d";
const ADOPTED: &str = "sk-PLANTED-ADOPTED-b04c";

/// The pass wherever SDKs put a credential.
fn calls_with(pass: &str) -> Vec<Call> {
    let words = json!([{"role": "user", "content": PROMPT}]);
    let chat = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": words});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]});
    let model = "/v1beta/models/standin:generateContent";
    vec![
        Call::post("/v1/chat/completions", &chat).bearer(pass),
        Call::post("/groq/openai/v1/chat/completions", &chat).header("api-key", pass),
        Call::post("/v1/messages", &chat).header("x-api-key", pass),
        Call::post(model, &gemini).header("x-goog-api-key", pass),
        Call::post(&format!("{model}?key={pass}"), &gemini),
        Call::post(&format!("/w/{pass}/v1/chat/completions?api_key={STORED}"), &chat).bearer(pass),
        Call::post("/deepseek/chat/completions", &chat).bearer(pass),
    ]
}

#[test]
fn no_stored_key_and_no_pass_is_in_any_file_log_or_listing() {
    let mut gate = Gate::open_with(Setup { log: Some("trace"), ..Setup::default() });
    let pass = gate.says(&["passes", "add", "laptop", "--scope", "call", "--scope", "manage"]);
    let planted = [STORED, ADOPTED, pass.trim(), PROMPT, ANSWER];
    let shown = |what: &str, output: std::process::Output| {
        look_for(&planted, what, &[output.stdout, output.stderr].concat());
    };
    for provider in ["openai", "anthropic", "gemini"] {
        let add = ["keys", "add", provider, "--store", "file"];
        shown("adding a key", gate.command_given(&add, STORED));
    }
    // Refused: what is not a key is not repeated either.
    let broken = format!("{STORED} {STORED}");
    shown("a wrong key", gate.command_given(&["keys", "add", "xai", "--store", "file"], &broken));
    let mut adopt = gate.prepared(&["keys", "adopt", "--store", "file", "--yes", "GROQ_API_KEY"]);
    shown("adopting", adopt.env("GROQ_API_KEY", ADOPTED).output().expect("it runs"));
    let mut sent = 0;
    for play in PLAYS {
        for call in calls_with(pass.trim()) {
            drop(gate.send(&call.play(&format!("{play};say={ANSWER}"))).remains());
            sent += 1;
        }
    }
    for path in ["keys", "passes", "status", "requests", "usage"] {
        let answer = gate.send(&Call::get(&format!("/api/v1/{path}")).bearer(pass.trim()));
        look_for(&planted, path, &answer.body().expect("whole"));
    }
    let used = gate.receipts_of(sent);
    let with_a_key = used.iter().filter(|receipt| receipt["key"] == "default").count();
    // All but the provider without a key.
    assert_eq!(with_a_key, sent / 7 * 6);
    look_for(&planted, "the receipts", json!(used).to_string().as_bytes());
    for listing in
        [&["keys"][..], &["keys", "test"], &["passes"], &["requests", "--json"], &["doctor"]]
    {
        shown(&listing.join(" "), gate.command(listing));
    }
    let crash =
        std::process::Command::new("kill").args(["-ABRT", &gate.pid().to_string()]).status();
    assert!(crash.is_ok_and(|status| status.success()));
    let (_, printed) = gate.ended();
    look_for(&planted, "what the process printed", printed.as_bytes());
    let files = files_below(gate.home());
    for path in files.iter().filter(|path| !path.ends_with("keys.secret")) {
        look_for(&planted, &path.display().to_string(), &fs::read(path).expect("readable"));
    }
    let secret = fs::read_to_string(gate.home().join("keys.secret")).expect("it was told to");
    assert!(secret.contains(STORED) && secret.contains(ADOPTED) && !secret.contains(pass.trim()));
}

fn look_at(what: &str, bytes: &[u8]) {
    look_for(&[PROMPT, ANSWER, KEY], what, bytes);
}

fn look_for(planted: &[&str], what: &str, bytes: &[u8]) {
    for planted in planted {
        let at = bytes.windows(planted.len()).position(|window| window == planted.as_bytes());
        if let Some(at) = at {
            let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
            panic!("{planted} stands in {what}:\n{}", String::from_utf8_lossy(around));
        }
    }
}
