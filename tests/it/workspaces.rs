//! Workspaces while calls flow: one name for each, whatever clients still send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use standin::client::Call;

use crate::gate::Gate;

fn chat(path: &str) -> Call {
    Call::post(path, &json!({"model": "standin", "messages": []})).bearer("planted")
}

fn rows(gate: &Gate) -> Vec<(String, u64)> {
    let usage: Value =
        serde_json::from_str(&gate.says(&["usage", "--by", "workspace", "--json"])).expect("JSON");
    let rows = usage["rows"].as_array().expect("rows").iter();
    let mut rows: Vec<(String, u64)> = rows
        .map(|row| {
            let name = row["name"].as_str().expect("a name").to_owned();
            (name, row["requests"].as_u64().expect("a count"))
        })
        .collect();
    rows.sort();
    rows
}

fn listed(gate: &Gate, arguments: &[&str]) -> Vec<String> {
    let lines = gate.says(&[&["workspaces", "list", "--json"], arguments].concat());
    let name = |line: &str| {
        let workspace: Value = serde_json::from_str(line).expect("one a line");
        workspace["name"].as_str().expect("a name").to_owned()
    };
    lines.lines().map(name).collect()
}

#[test]
fn whatever_a_client_still_says_it_is_counted_under_the_name_of_today() {
    let gate = Gate::open();
    let made = gate.says(&["passes", "add", "ci", "--workspace", "client_a", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let pass = made["secret"].as_str().expect("a secret");
    let calls = || {
        [
            chat("/w/client_a/v1/chat/completions"),
            chat("/v1/chat/completions").header("x-tollgate-workspace", "client_a"),
            chat("/v1/chat/completions").header("x-api-key", pass),
            chat("/v1/chat/completions"),
        ]
    };
    calls().iter().for_each(|call| assert_eq!(gate.send(call).status(), 200));
    gate.receipts_of(4);
    gate.says(&["workspaces", "rename", "client_a", "Client A"]);
    gate.says(&["workspaces", "rename", "personal", "home"]);
    calls().iter().for_each(|call| assert_eq!(gate.send(call).status(), 200));
    gate.receipts_of(8);
    assert_eq!(rows(&gate), [("Client A".to_owned(), 6), ("home".to_owned(), 2)]);
    gate.says(&["workspaces", "merge", "home", "Client A"]);
    calls().iter().for_each(|call| assert_eq!(gate.send(call).status(), 200));
    gate.receipts_of(12);
    assert_eq!(rows(&gate), [("Client A".to_owned(), 12)]);
    assert_eq!(listed(&gate, &[]), ["Client A"]);
    gate.says(&["doctor", "--verify"]);
}

#[test]
fn an_archived_workspace_takes_calls_and_comes_back_with_them() {
    let gate = Gate::open();
    assert_eq!(gate.send(&chat("/w/old/v1/chat/completions")).status(), 200);
    gate.receipts_of(1);
    gate.says(&["workspaces", "archive", "old"]);
    assert_eq!(listed(&gate, &[]), ["personal"]);
    assert_eq!(listed(&gate, &["--all"]), ["old", "personal"]);
    assert_eq!(rows(&gate), [("old".to_owned(), 1)], "its figures still count");
    assert_eq!(gate.send(&chat("/w/old/v1/chat/completions")).status(), 200);
    gate.receipts_of(2);
    assert_eq!(listed(&gate, &[]), ["old", "personal"]);
    for wrong in [
        &["rename", "demo", "x"][..],
        &["rename", "old", "demo"],
        &["rename", "old", "a\u{202e}b"],
        &["rename", "old", "  "],
        &["merge", "old", "old"],
        &["merge", "old", "nobody"],
        &["archive", "demo"],
        &["restore", "nobody"],
    ] {
        let output = gate.command(&[&["workspaces"], wrong].concat());
        assert!(!output.status.success(), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
    let long = "x".repeat(10_000);
    assert!(!gate.command(&["workspaces", "rename", "old", &long]).status.success());
}

#[test]
fn no_call_is_lost_or_split_while_workspaces_are_merged() {
    let gate = Gate::open();
    let (done, names) = (AtomicBool::new(false), ["a", "b", "c"]);
    let sent: usize = thread::scope(|scope| {
        let callers = names.map(|name| {
            let (gate, done) = (&gate, &done);
            scope.spawn(move || {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) || sent < 5 {
                    assert_eq!(
                        gate.send(&chat(&format!("/w/{name}/v1/chat/completions"))).status(),
                        200
                    );
                    sent += 1;
                }
                sent
            })
        });
        crate::gate::wait_until("all three are known", || listed(&gate, &[]).len() == 4);
        gate.says(&["workspaces", "rename", "a", "z"]);
        gate.says(&["workspaces", "merge", "b", "z"]);
        gate.says(&["workspaces", "merge", "z", "c"]);
        done.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().expect("every call went through")).sum()
    });
    gate.receipts_of(sent);
    assert_eq!(rows(&gate), [("c".to_owned(), sent as u64)]);
    gate.says(&["doctor", "--verify"]);
}
