//! Who is let in: nothing foreign and nothing without a credential reaches upstream.

use serde_json::json;
use standin::client::Call;

use crate::gate::Gate;

fn hello(path: &str) -> Call {
    Call::post(path, &json!({"model": "standin", "messages": [{"role": "user", "content": "hi"}]}))
}

#[test]
fn foreign_hosts_and_origins_never_reach_upstream() {
    let gate = Gate::open();
    let port = gate.address().port();
    let host = |value: &str| hello("/v1/chat/completions").bearer("planted").header("host", value);
    let origin =
        |value: &str| hello("/v1/chat/completions").bearer("planted").header("origin", value);
    let foreign = [
        host("evil.example"),
        host(&format!("evil.example:{port}")),
        host("127.0.0.1"),
        host("127.0.0.1:1"),
        host(&format!("127.0.0.1.evil.example:{port}")),
        host(&format!("localhost.:{port}")),
        host(&format!("user@127.0.0.1:{port}")),
        host(""),
        origin("https://evil.example"),
        origin("null"),
        origin(&format!("http://127.0.0.1:{}", port ^ 1)),
    ];
    for call in &foreign {
        let reply = gate.send(call);
        assert!((400..500).contains(&reply.status()), "{} for {call:?}", reply.status());
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let absolute = format!(
        "POST http://evil.example/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer planted\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    assert!((400..500).contains(&raw(&gate, &absolute)));
    let without = "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer planted\r\ncontent-length: 2\r\n\r\n{}";
    assert!((400..500).contains(&raw(&gate, without)));
    let old = "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer planted\r\ncontent-length: 2\r\n\r\n{}";
    assert!((400..500).contains(&raw(&gate, old)));
    let double = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nhost: evil.example\r\nauthorization: Bearer planted\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    assert!((400..500).contains(&raw(&gate, &double)));
    assert!(gate.standin.seen().is_empty(), "{:?}", gate.standin.seen());
}

/// Sends these very bytes; the status that came back.
fn raw(gate: &Gate, bytes: &str) -> u16 {
    use std::io::Write;
    let connection = standin::client::Connection::to(gate.address()).expect("it listens");
    connection.stream().write_all(bytes.as_bytes()).expect("it reads");
    connection.reply("POST").expect("it answers").status()
}

#[test]
fn every_name_of_this_machine_is_let_in() {
    let gate = Gate::open();
    let port = gate.address().port();
    for name in ["127.0.0.1", "localhost", "LocalHost", "[::1]"] {
        let call = hello("/v1/chat/completions")
            .bearer("planted")
            .header("host", &format!("{name}:{port}"));
        assert_eq!(gate.send(&call).status(), 200, "{name}");
    }
    let own = hello("/v1/chat/completions").bearer("planted").header("origin", &gate.origin());
    assert_eq!(gate.send(&own).status(), 200);
}

#[test]
fn the_guard_stands_before_every_path() {
    let gate = Gate::open();
    for path in ["/healthz", "/", "/metrics", "/api/v1/requests", "/demo/v1/chat/completions"] {
        let reply = gate.send(&Call::get(path).header("host", "evil.example"));
        assert!((400..500).contains(&reply.status()), "{path}: {}", reply.status());
        let reply = gate.send(&Call::get(path).header("origin", "https://evil.example"));
        assert!((400..500).contains(&reply.status()), "{path}: {}", reply.status());
    }
}

#[test]
fn a_call_without_credential_is_denied_in_the_clients_own_words() {
    let gate = Gate::open();
    let body = json!({"contents": []});
    let calls = [
        hello("/v1/chat/completions"),
        hello("/v1/responses"),
        hello("/v1/messages"),
        Call::post("/v1beta/models/standin:generateContent", &body),
    ];
    let answers: Vec<_> = calls
        .iter()
        .map(|call| {
            let reply = gate.send(call);
            assert_eq!(reply.status(), 401, "{call:?}");
            reply.json().expect("JSON")
        })
        .collect();
    assert!(answers[0]["error"]["message"].is_string(), "{}", answers[0]);
    assert!(answers[1]["error"]["message"].is_string(), "{}", answers[1]);
    assert_eq!(answers[2]["type"], "error", "{}", answers[2]);
    assert!(answers[2]["error"]["type"].is_string(), "{}", answers[2]);
    assert_eq!(answers[3]["error"]["code"], 401, "{}", answers[3]);
    assert!(answers[3]["error"]["status"].is_string(), "{}", answers[3]);

    for receipt in gate.receipts_of(calls.len()) {
        assert_eq!(receipt["status"], "denied", "{receipt:#}");
        assert_eq!(receipt["lines"], json!([]));
        assert_eq!(receipt["attempts"], json!([]), "{receipt:#}");
    }
    assert!(gate.standin.seen().is_empty());
}

#[test]
fn a_pass_that_nobody_made_is_denied() {
    let gate = Gate::open();
    let unknown = "tg_00000000000000000000000000000000000000000000";
    let calls = [
        hello("/v1/chat/completions").bearer(unknown),
        hello("/v1/messages").header("x-api-key", unknown),
        hello("/ollama/api/chat").bearer(unknown),
        Call::post("/v1beta/models/standin:generateContent", &json!({}))
            .header("x-goog-api-key", unknown),
        Call::post(&format!("/v1beta/models/standin:generateContent?key={unknown}"), &json!({})),
    ];
    for call in &calls {
        let reply = gate.send(call);
        assert_eq!(reply.status(), 401, "{call:?}");
    }
    for receipt in gate.receipts_of(calls.len()) {
        assert_eq!(receipt["status"], "denied", "{receipt:#}");
    }
    assert!(gate.standin.seen().is_empty());
}

#[test]
fn a_path_that_names_no_provider_says_which_there_are() {
    let gate = Gate::open();
    for path in ["/nobody/v1/chat/completions", "/opanai/v1/models"] {
        let reply = gate.send(&hello(path).bearer("planted"));
        assert_eq!(reply.status(), 404, "{path}");
        let body = String::from_utf8(reply.body().expect("a whole body")).expect("text");
        assert!(body.contains("openai") && body.contains("message"), "{body}");
    }
    assert!(gate.standin.seen().is_empty());
}

#[test]
fn a_server_that_needs_no_key_is_called_without_one() {
    let gate = Gate::open();
    assert_eq!(gate.send(&hello("/ollama/api/chat")).status(), 200);
    assert_eq!(gate.upstream_saw(1)[0].header("authorization"), None);
}

#[test]
fn the_demonstration_answers_without_network_or_key() {
    let gate = Gate::open();
    for path in ["/demo/v1/chat/completions", "/demo/v1/messages"] {
        let reply = gate.send(&hello(path));
        assert_eq!(reply.status(), 200, "{path}");
        assert!(reply.header("x-tollgate-receipt").is_some());
    }
    assert!(gate.standin.seen().is_empty());
    assert!(gate.receipts().is_empty(), "no export counts the demonstration unless asked");
}

#[test]
fn websockets_are_answered_426_at_once() {
    let gate = Gate::open();
    let call = Call::get("/v1/responses")
        .bearer("planted")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(gate.send(&call).status(), 426);
    assert!(gate.standin.seen().is_empty());
}
