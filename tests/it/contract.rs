//! One contract, two doors: the command line and HTTP answer the same question alike.

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::Gate;

/// A gate with a bit of everything on its ledger.
fn used() -> Gate {
    let gate = Gate::open();
    let chat = json!({"model": "standin", "messages": []});
    let message =
        |play: &str| Call::post("/v1/messages", &chat).header("x-api-key", "planted").play(play);
    gate.send(&message("")).body().expect("whole");
    gate.send(&message("status=429")).body().expect("whole");
    gate.send(
        &Call::post("/w/lab/v1/chat/completions", &chat)
            .bearer("planted")
            .header("x-tollgate-tag-team", "red"),
    )
    .body()
    .expect("whole");
    gate.send(&Call::post("/v1/chat/completions", &chat)).body().expect("whole");
    gate.receipts_of(4);
    gate
}

/// A bearer with this scope.
pub(crate) fn bearer(gate: &Gate, scope: &str) -> String {
    let said = gate.says(&["passes", "add", &scope.replace(':', "-"), "--scope", scope, "--json"]);
    let made: Value = serde_json::from_str(said.trim()).expect("JSON");
    let secret = made
        .as_object()
        .and_then(|o| o.values().find_map(|v| v.as_str().filter(|s| s.starts_with("tg_"))));
    secret.expect("the secret, shown once").to_owned()
}

fn asked(gate: &Gate, bearer: &str, path: &str) -> Value {
    let reply = gate.send(&Call::get(path).bearer(bearer));
    assert_eq!(reply.status(), 200, "{path}");
    reply.json().expect("JSON")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_command_line_and_http_answer_alike() {
    let gate = used();
    let bearer = bearer(&gate, "usage:read");
    let listed = lines(&gate.says(&["requests", "--json"]));
    let page = asked(&gate, &bearer, "/api/v1/requests");
    let over_http = page["requests"].as_array().expect("a list of requests");
    assert_eq!(&listed, over_http);
    assert_eq!(listed.len(), 4);

    let id = listed[0]["id"].as_str().expect("an id");
    let shown: Value = serde_json::from_str(&gate.says(&["show", id, "--json"])).expect("JSON");
    assert_eq!(shown, asked(&gate, &bearer, &format!("/api/v1/requests/{id}")));

    let span = ["--from", "2026-01-01", "--to", "2100-01-01"];
    let usage = gate.says(&[&["usage", "--by", "provider", "--json"][..], &span].concat());
    let usage: Value = serde_json::from_str(&usage).expect("JSON");
    let path = "/api/v1/usage?by=provider&from=2026-01-01&to=2100-01-01";
    assert_eq!(usage, asked(&gate, &bearer, path));

    let export = gate.send(&Call::get("/api/v1/export?format=jsonl").bearer(&bearer));
    let over_http = String::from_utf8(export.body().expect("whole")).expect("text");
    assert_eq!(gate.says(&["export", "--format", "jsonl"]), over_http);
    assert_eq!(gate.says(&["export", "--format", "csv"]).lines().count(), 5);
}

#[test]
fn management_asks_for_a_bearer_with_the_right_scope() {
    let gate = used();
    for path in ["/api/v1/requests", "/api/v1/usage", "/api/v1/export", "/api/v1/events"] {
        assert_eq!(gate.send(&Call::get(path)).status(), 401, "{path}");
        assert_eq!(gate.send(&Call::get(path).bearer("tg_nobody")).status(), 401, "{path}");
    }
    let reply = gate.send(&Call::get("/api/v1/requests"));
    let problem = reply.json().expect("JSON");
    assert!(
        problem["error"]["code"].is_string() && problem["error"]["hint"].is_string(),
        "{problem}"
    );
}

#[test]
fn a_change_is_told_without_saying_what() {
    let gate = used();
    let bearer = bearer(&gate, "usage:read");
    let mut events = gate.send(&Call::get("/api/v1/events").bearer(&bearer));
    assert_eq!(
        events.header("content-type").map(|t| t.starts_with("text/event-stream")),
        Some(true)
    );
    let call = Call::post("/v1/messages", &json!({"model": "standin", "messages": []}));
    gate.send(&call.header("x-api-key", "planted")).body().expect("whole");
    let told = events.read_past("changed").expect("it is told");
    assert!(!String::from_utf8_lossy(&told).contains("standin"));
}

#[test]
fn filters_find_what_they_say() {
    let gate = used();
    let found =
        |filters: &[&str]| lines(&gate.says(&[&["requests", "--json"], filters].concat())).len();
    assert_eq!(found(&["--provider", "anthropic"]), 2);
    assert_eq!(found(&["--status", "error"]), 1);
    assert_eq!(found(&["--status", "429"]), 1);
    assert_eq!(found(&["--status", "4xx"]), 2, "the refusal and the denial");
    assert_eq!(found(&["--workspace", "lab"]), 1);
    assert_eq!(found(&["--tag", "team=red"]), 1);
    assert_eq!(found(&["--last", "1h"]), 4);
    assert_eq!(found(&["--to", "2020-01-01"]), 0);
}

#[test]
fn following_shows_calls_as_they_come() {
    use std::io::BufRead as _;
    let gate = Gate::open();
    let mut following = gate.start_command(&["requests", "--follow", "--json"]);
    let lines = std::io::BufReader::new(following.stdout.take().expect("piped")).lines();
    let call = Call::post("/v1/messages", &json!({"model": "standin", "messages": []}));
    let reply = gate.send(&call.header("x-api-key", "planted"));
    let id = reply.header("x-tollgate-receipt").map(str::to_owned);
    let mut shown =
        lines.map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    assert_eq!(shown.next().expect("the call")["id"].as_str(), id.as_deref());
    following.kill().expect("it runs until it is stopped");
    following.wait().expect("it was killed");
}

#[test]
fn a_pass_is_stored_as_a_hash_only() {
    let gate = Gate::open();
    let secret = bearer(&gate, "usage:read");
    for path in crate::gate::files_below(gate.home()) {
        let bytes = std::fs::read(&path).expect("readable");
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}", path.display());
    }
    assert!(!gate.says(&["passes", "list"]).contains(&secret));
}
