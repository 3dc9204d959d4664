//! What must hold under load and at random moments. A short round runs always; with
//! `TOLLGATE_SOAK` set (`make soak`) the long one does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use standin::client::Call;
use standin::seen::Seen;

use crate::gate::{Gate, assert_usage, wait_until};

fn soaking() -> bool {
    std::env::var_os("TOLLGATE_SOAK").is_some()
}

/// The next call of a mixed load: streams and whole answers, quick and slow.
fn call(number: u64) -> Call {
    let words = json!([{"role": "user", "content": "say hello"}]);
    let asked = json!({"include_usage": true});
    let call = match number % 4 {
        0 => Call::post("/v1/messages", &json!({"model": "standin", "messages": words})),
        1 => Call::post(
            "/v1/messages",
            &json!({"model": "standin", "stream": true, "messages": words}),
        )
        .play("chunks=10;delay=3"),
        2 => Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": words}))
            .play("ttfb=10"),
        _ => {
            let body = json!({"model": "standin", "stream": true, "stream_options": asked, "messages": words});
            Call::post("/v1/chat/completions", &body).play("chunks=5;delay=1")
        }
    };
    let number = number.to_string();
    call.bearer("planted").header("x-call", &number).header("x-tollgate-tag-call", &number)
}

/// Clients that call until told to stop, and remember which calls came to their end.
struct Load {
    stop: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<u64>>>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr, numbers: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Mutex::new(Vec::new()));
        let client = || {
            let (stop, ended, numbers) =
                (Arc::clone(&stop), Arc::clone(&ended), Arc::clone(numbers));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = call(number).send(address).and_then(|reply| reply.body());
                    if answer.is_ok() {
                        ended.lock().expect("nobody panics holding it").push(number);
                    }
                }
            })
        };
        let clients = (0..8).map(|_| client()).collect();
        Self { stop, ended, clients }
    }

    /// The numbers of calls whose end a client saw.
    fn finish(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("clients do not panic"));
        self.ended.lock().expect("nobody panics holding it").clone()
    }
}

/// Kills the gate at moments of no choice, and holds what is left against what happened.
fn survives_kills(rounds: u64) {
    let mut gate = Gate::open();
    let numbers = Arc::new(AtomicU64::new(0));
    let mut ended = Vec::new();
    for round in 0..rounds {
        let load = Load::start(gate.address(), &numbers);
        // Not waiting for anything, but choosing a moment: 20 to 400 ms, never the same twice.
        thread::sleep(Duration::from_millis(20 + round.wrapping_mul(7919) % 380));
        gate.kill();
        ended.extend(load.finish());
        gate.start();
    }
    let seen = gate.standin.wait_for(|seen| seen.iter().all(|s| s.end.is_some()));
    let mut receipts = BTreeMap::new();
    wait_until("every request has its receipt", || {
        receipts = by_call(&gate.receipts());
        seen.iter().all(|s| receipts.contains_key(&number(s)))
    });
    println!(
        "{rounds} kills, {} requests upstream, {} ended, {} receipts",
        seen.len(),
        ended.len(),
        receipts.len()
    );
    for seen in &seen {
        let receipt = &receipts[&number(seen)];
        if ended.contains(&number(seen)) {
            assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
            assert_usage(receipt, seen);
        }
    }
    for number in &ended {
        assert!(receipts.contains_key(number), "call {number} ended without a receipt");
    }
    let verified = gate.says(&["doctor", "--verify"]);
    println!("{verified}");
}

fn number(seen: &Seen) -> u64 {
    seen.header("x-call").and_then(|n| n.parse().ok()).expect("every call has its number")
}

/// Receipts by the number of their call; two of one call are a failure.
fn by_call(receipts: &[Value]) -> BTreeMap<u64, Value> {
    let mut by = BTreeMap::new();
    for receipt in receipts {
        let tag = receipt["tags"]["call"].as_str().unwrap_or_else(|| panic!("no tag: {receipt:#}"));
        let before = by.insert(tag.parse().expect("a number"), receipt.clone());
        assert!(before.is_none(), "two receipts of one call:\n{before:#?}\n{receipt:#}");
    }
    by
}

#[test]
fn killed_under_load_every_request_upstream_saw_has_one_receipt() {
    survives_kills(if soaking() { 100 } else { 20 });
}

#[test]
fn half_a_gigabyte_goes_up_in_bounded_memory() {
    if soaking() {
        crate::bytes::upload(&Gate::open(), 512);
    }
}

#[test]
fn many_streams_at_once_stay_in_bounded_memory() {
    let gate = Gate::open();
    let streams = if soaking() { 256 } else { 64 };
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
    if let Some(peak) = crate::bytes::peak_mib(&gate) {
        println!("{streams} streams at once: {peak} MiB at the peak");
        assert!(peak <= 160, "the process held {peak} MiB");
    }
}
