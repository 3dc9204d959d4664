//! The way upstream is cut, comes back, leads nowhere; upstream has its worst day.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use standin::client::Call;

use super::load::{Load, accounted, numbered, numbers};
use super::{go_on_for, of};
use crate::gate::{Gate, Setup};

/// A stretch of wire in front of the stand-in that can be cut.
struct Wire {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    through: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (is_cut, through) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let wire = Self { address, is_cut, through };
        let (is_cut, through) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.through));
        // Ends with the test's process.
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(upstream) else { continue };
                through
                    .lock()
                    .expect("nobody panics holding it")
                    .extend([&near, &far].into_iter().filter_map(|end| end.try_clone().ok()));
                let back = [&far, &near].map(|end| end.try_clone().expect("an open socket"));
                for (mut from, mut into) in [(near, far), back.into()] {
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut into);
                        let _ = into.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        wire
    }

    /// All that is under way breaks off, and nothing new comes through.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for end in self.through.lock().expect("nobody panics holding it").drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn lost_and_found_leaves_one_receipt_a_request() {
    let mut gate = Gate::closed(&Setup::default());
    let wire = Wire::to(gate.standin.address());
    let config = gate.home().join("config.toml");
    let text = std::fs::read_to_string(&config).expect("written before");
    let text = text.replace(&gate.standin.origin(), &format!("http://{}", wire.address));
    std::fs::write(&config, text).expect("writable");
    gate.start();
    let numbers = numbers();
    let load = Load::start(gate.address(), &numbers);
    let rounds = of(4, 60);
    for _ in 0..rounds {
        go_on_for(Duration::from_millis(150));
        wire.cut();
        go_on_for(Duration::from_millis(of(150, 1_000)));
        wire.mend();
    }
    go_on_for(Duration::from_millis(150));
    let ended = load.finish();
    let receipts = accounted(&gate, &format!("{rounds} times without a network"), &ended);
    let broken = receipts.values().filter(|receipt| receipt["status"] == "error").count();
    assert!(broken > 0, "nothing broke off");
}

#[test]
fn that_leads_nowhere_ends_each_call_in_time_with_a_receipt() {
    // An address for documentation (RFC 5737): packets to it are lost, or refused at once.
    let more = "[providers.nowhere]\nbase_url = \"http://192.0.2.1:9\"\nauth = \"none\"\n".into();
    let top = "connect_timeout_seconds = 1";
    let gate = Gate::open_with(Setup { top, more, ..Setup::default() });
    let calls = of(16, 200);
    thread::scope(|scope| {
        for number in 0..calls {
            let gate = &gate;
            scope.spawn(move || {
                let call = Call::post("/nowhere/v1/chat/completions", &json!({"model": "m"}));
                let status = gate.send(&numbered(call, number)).status();
                assert!(status == 502 || status == 504, "{status}");
            });
        }
    });
    let receipts = gate.receipts_of(calls as usize);
    assert!(receipts.iter().all(|receipt| receipt["status"] == "error"));
    super::load::is_sound(&gate);
}

/// Nine in ten calls go wrong, each in a way of its own.
fn stormy(number: u64) -> Call {
    let body =
        json!({"model": "standin", "stream": number % 2 == 1, "max_tokens": 9, "messages": []});
    let play = match number % 10 {
        0 => "chunks=3",
        1 | 2 => "status=429",
        3 | 4 => "status=500",
        5 => "reset=1",
        6 => "close=2",
        7 => "lengths",
        8 => "badchunk=2",
        _ => "status=503",
    };
    numbered(Call::post("/v1/messages", &body).play(play), number)
}

#[test]
fn storms_of_429_500_and_resets_leave_one_receipt_a_request() {
    let gate = Gate::open();
    let numbers = numbers();
    let load = Load::of(16, gate.address(), &numbers, stormy);
    go_on_for(of(Duration::from_secs(2), Duration::from_secs(120)));
    let ended = load.finish();
    let receipts = accounted(&gate, "an upstream's worst day", &ended);
    for (number, receipt) in &receipts {
        let status = match number % 10 {
            0 => 200,
            1 | 2 => 429,
            3 | 4 => 500,
            9 => 503,
            _ => continue,
        };
        assert_eq!(receipt["http_status"], status, "{receipt:#}");
        assert_eq!(receipt["status"] == "succeeded", status == 200, "{receipt:#}");
    }
}

#[test]
fn silent_on_one_side_holds_up_nobody_on_the_other() {
    // It takes connections and says nothing, like a machine that hangs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let more = format!("[providers.hung]\nbase_url = \"http://{address}\"\nauth = \"none\"\n");
    let top = "idle_timeout_seconds = 1";
    let gate = Gate::open_with(Setup { top, more, ..Setup::default() });
    let numbers = numbers();
    let load = Load::of(8, gate.address(), &numbers, |number| {
        let body = json!({"model": "standin", "max_tokens": 9, "messages": []});
        let path = if number.is_multiple_of(50) { "/hung/v1/messages" } else { "/v1/messages" };
        numbered(Call::post(path, &body), number)
    });
    go_on_for(of(Duration::from_secs(1), Duration::from_secs(20)));
    let ended = load.finish();
    assert!(!ended.is_empty());
    let receipts = accounted(&gate, "one upstream of two says nothing", &ended);
    assert_eq!(receipts[&0]["attempts"][0]["ended"], "timed_out", "{:#}", receipts[&0]);
    drop(silent);
}
