//! Very many short calls, very many streams, very much at once.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin::client::{Call, Connection};

use super::load::is_sound;
use super::of;
use crate::bytes::peak_mib;
use crate::gate::{Gate, assert_usage, wait_until};

#[test]
fn of_half_a_gigabyte_going_up_stays_in_bounded_memory() {
    if super::soaking() {
        crate::bytes::upload(&Gate::open(), 512);
    }
}

#[test]
fn of_streams_at_once_stays_in_bounded_memory() {
    let gate = Gate::open();
    let streams = of(64, 256);
    let body = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": []});
    let call = Call::post("/v1/messages", &body)
        .header("x-api-key", "planted")
        .play("chunks=100;delay=10");
    thread::scope(|scope| {
        for _ in 0..streams {
            scope.spawn(|| gate.send(&call).body().expect("a whole body"));
        }
    });
    let seen = gate.upstream_saw(streams);
    let receipts = gate.receipts_of(streams);
    let by_id: BTreeMap<&str, &Value> =
        receipts.iter().filter_map(|r| Some((r["response_id"].as_str()?, r))).collect();
    for seen in &seen {
        assert_usage(by_id[&*seen.said.as_ref().expect("stated").id], seen);
    }
    if let Some(peak) = peak_mib(&gate) {
        println!("{streams} streams at once: {peak} MiB at the peak");
        assert!(peak <= 160, "the process held {peak} MiB");
    }
}

/// Two sockets of each stream are the test's own.
fn may_open(files: usize) -> bool {
    let limit = format!("--nofile={files}");
    let pid = std::process::id().to_string();
    Command::new("prlimit").args(["--pid", &pid, &limit]).status().is_ok_and(|s| s.success())
}

#[test]
fn of_a_thousand_idle_streams_is_carried_and_each_has_its_receipt() {
    let streams = of(200, 1000);
    if !may_open(4 * streams + 200) {
        eprintln!("skipped: so many sockets are not allowed here");
        return;
    }
    let gate = Gate::open();
    let body = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": []});
    let idle = Call::post("/v1/messages", &body).header("x-api-key", "planted").play("stall=4");
    let open: Vec<_> = (0..streams)
        .map(|_| {
            let mut reply = gate.send(&idle);
            reply.read_past("message_start").expect("it begins");
            reply
        })
        .collect();
    let quick = Call::post("/v1/messages", &body).header("x-api-key", "planted");
    for _ in 0..20 {
        gate.send(&quick).body().expect("others are served beside them");
    }
    let peak = peak_mib(&gate);
    drop(open);
    let receipts = gate.receipts_of(streams + 20);
    let left = receipts.iter().filter(|receipt| receipt["status"] == "cancelled").count();
    assert_eq!(left, streams);
    is_sound(&gate);
    println!("{streams} idle streams: {peak:?} MiB at the peak");
    assert!(peak.is_none_or(|peak| peak <= 60 + streams as u64 / 4), "{peak:?} MiB");
}

#[test]
fn of_short_calls_as_fast_as_they_go_has_a_receipt_each() {
    let gate = Gate::open();
    let time = of(Duration::from_secs(3), Duration::from_secs(600));
    let body = json!({"model": "standin", "max_tokens": 9, "messages": []});
    let call = Call::post("/v1/messages", &body).header("x-api-key", "planted");
    let until = Instant::now() + time;
    let client = || {
        let (mut calls, mut connection) = (0, Connection::to(gate.address()).expect("it listens"));
        while Instant::now() < until {
            let reply = call.send_over(connection).expect("an answer");
            connection = reply.into_parts().expect("a whole body").1;
            calls += 1;
        }
        calls
    };
    let calls: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("clients do not panic")).sum()
    });
    let mut counted = Value::Null;
    wait_until("all are counted", || {
        let usage = gate.says(&["usage", "--json", "--from", "1990-01-01"]);
        let usage: Value = serde_json::from_str(&usage).expect("one JSON object");
        counted = usage["totals"]["requests"].clone();
        counted == calls
    });
    gate.says(&["doctor", "--verify"]);
    let peak = peak_mib(&gate);
    println!("{calls} calls in {} s, peak {peak:?} MiB", time.as_secs());
    assert!(peak.is_none_or(|peak| peak <= 160), "{peak:?} MiB");
}
