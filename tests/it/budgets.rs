//! Budgets: nobody spends more than the user said, whoever calls, how often and how parallel,
//! and what he is told when they try.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::{Gate, Setup, wait_until};

/// $15 and $75 a million tokens.
const DEAR: &str = "claude-opus-4-1-20250805";

/// A call that may come to three cents, and comes to two: the stand-in counts some 1,200 tokens
/// of prompt, and fewer than a hundred of answer.
fn dear_at(path: &str) -> Call {
    dear_with(path, "sk-own")
}

fn dear_with(path: &str, secret: &str) -> Call {
    let words = json!([{"role": "user", "content": "word".repeat(1300)}]);
    let body = json!({"model": DEAR, "messages": words, "max_tokens": 100});
    Call::post(path, &body).header("x-api-key", secret).play("ttfb=30")
}

fn dear() -> Call {
    dear_at("/v1/messages")
}

/// What is set aside for it, and a little.
const MOST: f64 = 0.036;

fn budget(gate: &Gate, name: &str) -> Value {
    let said = gate.says(&["budgets", "--json"]);
    let all = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.into_iter().find(|one| one["budget"]["name"] == name).expect("it is listed")
}

fn dollars(amount: &Value) -> f64 {
    // Only to compare; the amounts themselves are exact.
    amount.as_str().expect("decimal text").parse().expect("decimal text")
}

fn with_budgets(toml: &str) -> Gate {
    Gate::open_with(Setup { more: toml.to_owned(), ..Setup::default() })
}

/// Clients that call again and again, wherever the gate is, until told to stop.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Crowd {
    fn of(
        size: usize,
        gate: &Arc<Mutex<SocketAddr>>,
        statuses: &Arc<Mutex<BTreeSet<u16>>>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, gate, statuses) =
                (Arc::clone(&stop), Arc::clone(gate), Arc::clone(statuses));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let address = *gate.lock().expect("nobody panics holding it");
                    // Between two processes nobody answers.
                    if let Ok(reply) = dear().send(address) {
                        let status = reply.status();
                        let _ = reply.body();
                        statuses.lock().expect("nobody panics holding it").insert(status);
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let clients = (0..size).map(client).collect();
        Self { stop, clients }
    }

    fn go(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("it only calls"));
    }
}

#[test]
fn a_hundred_clients_spend_no_more_than_the_cap_and_one_call_through_kills_too() {
    let mut gate = with_budgets("[[budgets]]\nname = 'cap'\nspend = '1.00'\nper = 'total'\n");
    let address = Arc::new(Mutex::new(gate.address()));
    let statuses = Arc::default();
    let crowd = Crowd::of(100, &address, &statuses);
    let restart = |gate: &mut Gate| {
        gate.kill();
        gate.start();
        *address.lock().expect("nobody panics holding it") = gate.address();
    };
    // Some have ended, others run.
    wait_until("calls came to their end", || {
        gate.standin.seen().iter().filter(|seen| seen.end.is_some()).count() >= 12
    });
    restart(&mut gate);
    let is_full = |gate: &Gate| budget(gate, "cap")["share"].as_u64() >= Some(100);
    wait_until("the cap is reached", || is_full(&gate));
    restart(&mut gate);
    assert!(is_full(&gate), "a restart forgets nothing");
    crowd.go();
    let seen = gate.standin.seen().len();
    let receipts = gate.receipts();
    let costs: Vec<f64> = receipts
        .iter()
        .filter(|receipt| receipt["status"] == "succeeded")
        .map(|receipt| dollars(&receipt["cost"]))
        .collect();
    let one = costs.iter().copied().fold(0.0, f64::max);
    assert!((0.015..MOST).contains(&one), "a call costs {one}");
    // All that reached upstream is to be paid, whether its receipt knows or not.
    let paid = seen as f64 * one;
    assert!(paid <= 1.0 + MOST, "{seen} calls of {one} each");
    // And it is no cap that denies everything. What was about to leave when the process was
    // killed counts as well, though upstream never saw it.
    assert!(paid >= 0.3, "{seen} calls of {one} each");
    let spent = dollars(&budget(&gate, "cap")["money"]["spent"]);
    let known: f64 = costs.iter().sum();
    assert!(spent <= 1.0 + MOST && spent >= known.max(1.0), "{spent}, {known} of it known");
    assert!(statuses.lock().expect("nobody panics holding it").contains(&429));
    let standing = budget(&gate, "cap");
    assert_eq!(standing["state"], "stopping");
    assert!(standing["denied"].as_u64() > Some(0), "{standing}");
}

#[test]
fn a_no_is_said_in_each_clients_own_format_and_nothing_reaches_upstream() {
    let gate = with_budgets("[[budgets]]\nname = 'none'\nspend = '0'\nper = 'day'\n");
    let message = json!([{"role": "user", "content": "hello"}]);
    let chat = json!({"model": "gpt-4o", "messages": message});
    let claude = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": message});
    let gemini = json!({"contents": [{"parts": [{"text": "hello"}]}]});
    let calls = [
        (
            Call::post("/v1/chat/completions", &chat).bearer("sk-own"),
            "/error/type",
            "insufficient_quota",
        ),
        (
            Call::post("/v1/messages", &claude)
                .header("x-api-key", "sk-own")
                .header("anthropic-version", "2023-06-01"),
            "/error/type",
            "rate_limit_error",
        ),
        (
            Call::post("/v1beta/models/gemini-2.5-pro:generateContent", &gemini)
                .header("x-goog-api-key", "own"),
            "/error/status",
            "RESOURCE_EXHAUSTED",
        ),
    ];
    for (call, pointer, word) in &calls {
        let reply = gate.send(call);
        assert_eq!(reply.status(), 429);
        let wait: u64 =
            reply.header("retry-after").expect("it says when").parse().expect("seconds");
        assert!((1..=86_400).contains(&wait), "{wait}");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        let body: Value =
            serde_json::from_slice(&reply.body().expect("a whole body")).expect("JSON");
        assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(*word), "{body}");
        let said = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        for part in ["`none`", "$0.00 a day", "next day begins in", "tollgate budgets edit"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    // What costs nothing is not held up.
    let list = Call::get("/v1/models").bearer("sk-own");
    assert_eq!(gate.send(&list).status(), 200);
    assert_eq!(gate.upstream_saw(1).len(), 1);
    let receipts = gate.receipts_of(4);
    for receipt in &receipts[..3] {
        assert_eq!(receipt["status"], "denied");
        assert_eq!(
            (&receipt["error_type"], &receipt["cost"]),
            (&json!("budget_reached"), &json!("0"))
        );
        assert!(receipt["model"].is_null() && receipt["model_requested"].is_string());
    }
}

#[test]
fn a_budget_that_asks_is_released_and_remembers_it() {
    let mut gate = with_budgets("");
    gate.says(&[
        "budgets",
        "add",
        "agent",
        "--spend",
        "0.01",
        "--per",
        "month",
        "--action",
        "ask",
        "--only",
        "workspace=agent",
    ]);
    let call = || dear_at("/w/agent/v1/messages");
    let status = |gate: &Gate, call: &Call| {
        let reply = gate.send(call);
        let status = reply.status();
        let body = String::from_utf8(reply.body().expect("a whole body")).expect("text");
        (status, body)
    };
    assert_eq!(status(&gate, &call()).0, 200, "one that is too large may run alone");
    gate.receipts_of(1);
    let (code, said) = status(&gate, &call());
    assert!(code == 429 && said.contains("tollgate budgets release 'agent'"), "{said}");
    assert_eq!(status(&gate, &dear()).0, 200, "another workspace");
    gate.says(&["budgets", "release", "agent", "1h"]);
    assert_eq!(status(&gate, &call()).0, 200);
    gate.kill();
    gate.start();
    assert_eq!(budget(&gate, "agent")["state"], "released");
    assert_eq!(status(&gate, &call()).0, 200);
    gate.says(&["budgets", "release", "agent", "now"]);
    assert_eq!(status(&gate, &call()).0, 429);
    gate.says(&["budgets", "edit", "agent", "--spend", "9"]);
    assert_eq!(status(&gate, &call()).0, 200);
    // The file says it, and a restart reads it.
    let file = std::fs::read_to_string(gate.home().join("config.toml")).expect("it is there");
    assert!(file.contains("spend = \"9\"") && file.contains("action = \"ask\""), "{file}");
    gate.says(&["budgets", "remove", "agent"]);
    assert!(gate.says(&["budgets"]).is_empty());
}

#[test]
fn shares_are_told_once_a_period_over_restarts() {
    let mut gate = with_budgets(
        "[[budgets]]\nname = 'month'\nspend = '0.05'\nper = 'month'\naction = 'soft'\n",
    );
    let told = |gate: &Gate| -> Vec<String> {
        let history = gate.says(&["alerts", "history", "--json"]);
        let events = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let of_budgets = events.filter(|event| event["turn"] == "budget");
        of_budgets.map(|event| event["said"].as_str().expect("a sentence").to_owned()).collect()
    };
    gate.send(&dear()).body().expect("a whole body");
    gate.send(&dear()).body().expect("a whole body");
    wait_until("a share is told", || !told(&gate).is_empty());
    gate.send(&dear()).body().expect("a whole body");
    wait_until("the limit is told", || told(&gate).iter().any(|said| said.contains("Calls go on")));
    gate.kill();
    gate.start();
    gate.send(&dear()).body().expect("a whole body");
    gate.receipts_of(4);
    let all = told(&gate);
    let once: BTreeSet<&String> = all.iter().collect();
    assert!((2..=3).contains(&all.len()) && once.len() == all.len(), "{all:?}");
    assert_eq!(budget(&gate, "month")["state"], "over");
}

#[test]
fn paces_are_held_by_the_minute_and_by_what_runs() {
    let gate = with_budgets(
        "[[budgets]]\nname = 'two'\nconcurrent = 2\nonly = { model = 'standin*' }\n\
         [[budgets]]\nname = 'three a minute'\nrequests_per_minute = 3\nonly = { provider = 'anthropic' }\n",
    );
    let slow = || {
        let body = json!({"model": "standin-slow", "stream": true, "messages": []});
        Call::post("/v1/chat/completions", &body).bearer("sk-own").play("chunks=3;delay=300")
    };
    let running = [gate.send(&slow()), gate.send(&slow())];
    let refused = gate.send(&slow());
    assert_eq!((refused.status(), refused.header("retry-after")), (429, Some("1")));
    assert_eq!(refused.header("x-should-retry"), None, "a moment later it may fit");
    running.into_iter().for_each(|reply| drop(reply.body().expect("a whole body")));
    assert_eq!(gate.send(&slow()).status(), 200);
    let passed = AtomicU64::new(0);
    let message = json!({"model": "claude-x", "max_tokens": 1, "messages": []});
    let hello = Call::post("/v1/messages", &message).header("x-api-key", "sk-own");
    let statuses: Vec<u16> = (0..5)
        .map(|_| {
            let reply = gate.send(&hello);
            passed.fetch_add(u64::from(reply.status() == 200), Ordering::Relaxed);
            reply.status()
        })
        .collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[test]
fn a_limit_follows_its_pass_and_workspace_to_their_new_names() {
    let mut gate = with_budgets("");
    let add = |name: &str, only: &str| {
        gate.says(&["budgets", "add", name, "--spend", "0.01", "--per", "total", "--only", only]);
    };
    add("of the pass", "pass=ci");
    add("of the workspace", "workspace=agent");
    let pass = gate.says(&["passes", "add", "ci"]).trim().to_owned();
    gate.command_given(
        &["keys", "add", "anthropic", "--store", "file", "--no-test"],
        "sk-stored\n",
    );
    let by_pass = || dear_with("/v1/messages", &pass);
    let in_workspace = |name: &str| dear_at(&format!("/w/{name}/v1/messages"));
    let status = |gate: &Gate, call: &Call| {
        let reply = gate.send(call);
        let status = reply.status();
        reply.body().expect("a whole body");
        status
    };
    assert_eq!(status(&gate, &by_pass()), 200);
    assert_eq!(status(&gate, &in_workspace("agent")), 200);
    gate.receipts_of(2);
    gate.says(&["passes", "rename", "ci", "robot"]);
    gate.says(&["workspaces", "rename", "agent", "night"]);
    for restarted in [false, true] {
        assert_eq!(status(&gate, &by_pass()), 429, "{restarted}");
        assert_eq!(status(&gate, &in_workspace("agent")), 429, "{restarted}");
        assert_eq!(status(&gate, &in_workspace("night")), 429, "{restarted}");
        gate.kill();
        gate.start();
    }
}

#[test]
fn what_nobody_can_price_is_denied_by_a_cap_until_the_user_says_otherwise() {
    let gate = with_budgets("[[budgets]]\nname = 'cap'\nspend = '5'\n");
    let unknown = json!({"model": "made-up-1", "messages": []});
    let call = Call::post("/v1/chat/completions", &unknown).bearer("sk-own");
    let reply = gate.send(&call);
    assert_eq!((reply.status(), reply.header("retry-after")), (429, None));
    let said = String::from_utf8(reply.body().expect("a whole body")).expect("text");
    assert!(said.contains("nobody knows what this model costs"), "{said}");
    gate.says(&["budgets", "edit", "cap", "--unpriced", "allow"]);
    assert_eq!(gate.send(&call).status(), 200);
}

#[test]
fn a_wrong_budget_is_refused_in_words() {
    let gate = Gate::open();
    let refused = |arguments: &[&str]| {
        let output = gate.command(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let add = ["budgets", "add", "x"];
    let said = refused(&add);
    assert!(said.contains("exactly one limit"), "{said}");
    let said = refused(&[&add[..], &["--spend", "1", "--only", "status=error"]].concat());
    assert!(said.contains("`workspace`"), "{said}");
    let said = refused(&[&add[..], &["--concurrent", "1", "--action", "ask"]].concat());
    assert!(said.contains("`soft` or `hard`"), "{said}");
    let said = refused(&["budgets", "release", "nobody"]);
    assert!(said.contains("no budget `nobody`"), "{said}");
    gate.says(&[&add[..], &["--spend", "1"]].concat());
    let said = refused(&[&add[..], &["--spend", "1"]].concat());
    assert!(said.contains("already"), "{said}");
}

#[test]
fn a_model_named_behind_a_long_prompt_is_no_way_around() {
    let gate = with_budgets(
        "[[budgets]]\nname = 'used up'\nspend = '0'\nonly = { model = 'claude-opus*' }\n",
    );
    let prompt = "word ".repeat(300_000);
    let text = format!(
        r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"{prompt}"}}],"model":"{DEAR}"}}"#
    );
    let call = Call::new("POST", "/v1/messages", text)
        .header("content-type", "application/json")
        .header("x-api-key", "sk-own");
    assert_eq!(gate.send(&call).status(), 429);
    gate.says(&["budgets", "edit", "used up", "--spend", "9"]);
    assert_eq!(gate.send(&call).status(), 200, "it may run alone");
    assert_eq!(gate.upstream_saw(1).len(), 1);
}
