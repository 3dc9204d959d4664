//! Clients that call all the time, and the account that is held afterwards: every request that
//! upstream saw has exactly one receipt, and the sums are those of the receipts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use standin::client::Call;
use standin::seen::Seen;

use crate::gate::{Gate, assert_usage, wait_until};

/// Memory that no fault may make the process exceed, in MiB, in a debug build.
const PEAK_MIB: u64 = 160;

/// The next call of a mixed load: streams and whole answers, quick and slow.
pub(super) fn mixed(number: u64) -> Call {
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
    numbered(call, number)
}

/// A call that its receipt and upstream can be told to be of.
pub(super) fn numbered(call: Call, number: u64) -> Call {
    let number = number.to_string();
    call.bearer("planted").header("x-call", &number).header("x-tollgate-tag-call", &number)
}

/// Clients that call until told to stop, and remember which calls came to their end.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<u64>>>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// Eight clients with the mixed load.
    pub(super) fn start(address: SocketAddr, numbers: &Arc<AtomicU64>) -> Self {
        Self::of(8, address, numbers, mixed)
    }

    /// So many clients with such calls.
    pub(super) fn of(
        clients: usize,
        address: SocketAddr,
        numbers: &Arc<AtomicU64>,
        next: fn(u64) -> Call,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Mutex::new(Vec::new()));
        let client = || {
            let (stop, ended, numbers) =
                (Arc::clone(&stop), Arc::clone(&ended), Arc::clone(numbers));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = next(number).send(address);
                    let is_whole = answer.is_ok_and(|reply| {
                        let is_success = reply.status() == 200;
                        reply.body().is_ok() && is_success
                    });
                    if is_whole {
                        ended.lock().expect("nobody panics holding it").push(number);
                    }
                }
            })
        };
        let clients = (0..clients).map(|_| client()).collect();
        Self { stop, ended, clients }
    }

    /// The numbers of calls whose end a client saw.
    pub(super) fn finish(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("clients do not panic"));
        self.ended.lock().expect("nobody panics holding it").clone()
    }

    /// How many came to their end so far.
    pub(super) fn ended(&self) -> usize {
        self.ended.lock().expect("nobody panics holding it").len()
    }
}

/// Numbers for the calls of one test.
pub(super) fn numbers() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

/// Waits until whatever reached upstream is in the ledger, and fails if a request has no receipt
/// or two, a call whose end was seen is without its usage, or a sum is wrong. Returns the
/// receipts by the numbers of their calls.
pub(super) fn accounted(gate: &Gate, what: &str, ended: &[u64]) -> BTreeMap<u64, Value> {
    let seen = gate.standin.wait_for(|seen| seen.iter().all(|s| s.end.is_some()));
    let mut receipts = BTreeMap::new();
    wait_until("every request has its receipt", || {
        receipts = by_call(&gate.receipts());
        seen.iter().all(|s| receipts.contains_key(&number(s)))
    });
    for seen in seen.iter().filter(|seen| ended.contains(&number(seen))) {
        let receipt = &receipts[&number(seen)];
        assert_eq!(receipt["status"], "succeeded", "{receipt:#}");
        assert_usage(receipt, seen);
    }
    for number in ended {
        assert!(receipts.contains_key(number), "call {number} ended without a receipt");
    }
    let health = gate.send(&Call::get("/healthz")).json().expect("JSON");
    assert_eq!(health["lost"], 0, "{health}");
    is_sound(gate);
    let peak = crate::bytes::peak_mib(gate);
    println!(
        "{what}: {} requests upstream, {} ended, {} receipts, peak {} MiB",
        seen.len(),
        ended.len(),
        receipts.len(),
        peak.unwrap_or_default()
    );
    assert!(peak.is_none_or(|peak| peak <= PEAK_MIB), "the process held {peak:?} MiB");
    receipts
}

/// Sums are those of the receipts, and the doctor is content.
pub(super) fn is_sound(gate: &Gate) {
    gate.says(&["doctor", "--verify"]);
    let receipts = gate.receipts();
    let usage = gate.says(&["usage", "--json", "--from", "1990-01-01"]);
    let usage: Value = serde_json::from_str(&usage).expect("one JSON object");
    assert_eq!(usage["totals"]["requests"], receipts.len(), "{usage:#}");
    let tokens = |side: &str| -> u64 {
        receipts.iter().filter_map(|receipt| crate::gate::count(receipt, side)).sum()
    };
    assert_eq!(usage["totals"]["input_tokens"], tokens("input."), "{usage:#}");
    assert_eq!(usage["totals"]["output_tokens"], tokens("output."), "{usage:#}");
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
