//! Large, slow and hostile amounts of bytes, and what they cost in memory.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use serde_json::json;
use standin::client::{Call, Connection};
use standin::seen::sha256;

use crate::gate::{Gate, assert_usage, count, wait_until};

/// MiB that the process may hold at its peak, whatever passes through.
const PEAK_MIB: u64 = 120;

/// The largest the process ever was, in MiB; `None` where the system does not tell.
pub(crate) fn peak_mib(gate: &Gate) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib / 1024)
}

fn assert_small(gate: &Gate) {
    if let Some(peak) = peak_mib(gate) {
        assert!(peak <= PEAK_MIB, "the process held {peak} MiB");
    }
}

/// Uploads a request whose `model` stands behind so many MiB of text.
pub(crate) fn upload(gate: &Gate, mib: usize) {
    let head = br#"{"stream":false,"messages":[{"role":"user","content":""#;
    let tail = br#""}],"max_tokens":9,"model":"standin-behind-it-all"}"#;
    let length = head.len() + tail.len() + (mib << 20);
    let call = Call::new("POST", "/v1/messages", Vec::new())
        .header("x-api-key", "planted")
        .header("content-type", "application/json")
        .header("content-length", &length.to_string());
    let connection = Connection::to(gate.address()).expect("it listens");
    let mut to = connection.stream();
    to.write_all(&call.bytes(gate.address())).expect("it reads");
    to.write_all(head).expect("it reads");
    let piece = b"0123456789abcde ".repeat(1 << 16);
    (0..mib).for_each(|_| to.write_all(&piece).expect("it reads"));
    to.write_all(tail).expect("it reads");
    let reply = connection.reply("POST").expect("it answers");
    assert_eq!(reply.status(), 200);
    reply.body().expect("a whole body");

    let receipt = gate.receipt();
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.upload.as_ref().map(|u| u.length), Some(length as u64));
    assert_eq!(receipt["request_bytes"], length, "{receipt:#}");
    assert_eq!(receipt["model_requested"], "standin-behind-it-all", "{receipt:#}");
    assert_usage(&receipt, &seen);
    assert_small(gate);
}

#[test]
fn a_large_upload_streams_through() {
    upload(&Gate::open(), 64);
}

#[test]
fn an_event_of_forty_mebibytes_passes_and_is_read() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": []});
    for play in ["big=40", "big=40;coding=gzip"] {
        let call = Call::post("/v1/messages", &body).header("x-api-key", "planted");
        let reply = gate.send(&call.play(play));
        assert!(reply.body().expect("a whole body").len() > 100_000);
    }
    let seen = gate.upstream_saw(2);
    for (receipt, seen) in gate.receipts_of(2).iter().zip(&seen) {
        assert_usage(receipt, seen);
    }
    assert_small(&gate);
}

#[test]
fn a_client_that_sends_byte_after_byte_is_served_and_holds_nobody_up() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "messages": []});
    let bytes = Call::post("/v1/chat/completions", &body).bearer("planted").bytes(gate.address());
    let slow = Connection::to(gate.address()).expect("it listens");
    let (quick, late) = bytes.split_at(bytes.len() - 4);
    slow.stream().write_all(quick).expect("it reads");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            for byte in late {
                thread::sleep(Duration::from_secs(1));
                slow.stream().write_all(&[*byte]).expect("it reads");
            }
        });
        for _ in 0..20 {
            gate.send(&Call::post("/v1/chat/completions", &body).bearer("planted"))
                .body()
                .expect("whole");
        }
        assert!(!waiting.is_finished(), "twenty calls were done before four slow bytes");
    });
    assert_eq!(slow.reply("POST").expect("it answers").status(), 200);
    gate.receipts_of(21);
}

#[test]
fn a_header_bomb_is_refused_and_hurts_nobody() {
    let gate = Gate::open();
    let many = |mut call: Call, count: usize, size: usize| {
        for at in 0..count {
            call = call.header(&format!("x-{at}"), &"b".repeat(size));
        }
        call
    };
    for call in
        [many(Call::get("/v1/models"), 20_000, 10), many(Call::get("/v1/models"), 1, 4 << 20)]
    {
        let connection = Connection::to(gate.address()).expect("it listens");
        // It may well close before all of it is written.
        drop(connection.stream().write_all(&call.bearer("planted").bytes(gate.address())));
        if let Ok(reply) = connection.reply("GET") {
            assert!((400..500).contains(&reply.status()), "{}", reply.status());
        }
    }
    assert!(gate.standin.seen().is_empty());
    assert_eq!(gate.send(&Call::get("/v1/models").bearer("planted")).status(), 200);
    assert_small(&gate);
}

#[test]
fn a_client_that_stops_reading_stops_upstream_too() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "stream": true, "max_tokens": 9, "messages": []});
    let piece = "x".repeat(1000);
    let call = Call::post("/v1/messages", &body).header("x-api-key", "planted");
    let mut reply = gate.send(&call.play(&format!("endless;say={piece}")));
    reply.read_past("xxx").expect("the stream begins");
    thread::sleep(Duration::from_secs(2));
    assert_small(&gate);
    drop(reply);
    assert_eq!(gate.upstream_saw(1)[0].end, Some(standin::seen::End::PeerLeft));
    assert_eq!(gate.receipt()["status"], "cancelled");
}

#[test]
fn a_body_that_breaks_off_is_cancelled_and_malformed_json_is_upstreams_to_judge() {
    let gate = Gate::open();
    let cut = Call::new("POST", "/v1/messages", "{\"model\":\"stan")
        .header("x-api-key", "planted")
        .header("content-length", "4000");
    let connection = Connection::to(gate.address()).expect("it listens");
    connection.stream().write_all(&cut.bytes(gate.address())).expect("it reads");
    wait_until("it is registered upstream", || !gate.standin.seen().is_empty());
    drop(connection);
    assert_eq!(gate.receipt()["status"], "cancelled");

    let malformed = b"{\"model\": \"stan\xff\xfe, [[[[";
    let call = Call::new("POST", "/v1/messages", malformed.to_vec()).header("x-api-key", "planted");
    assert_eq!(gate.send(&call).status(), 200);
    let receipts = gate.receipts_of(2);
    assert_eq!(receipts[1]["model_requested"], serde_json::Value::Null, "{:#}", receipts[1]);
    assert!(count(&receipts[1], "input.text").is_some());
    assert_eq!(gate.standin.seen()[1].body(), malformed);
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let gate = Gate::open();
    let body = json!({"model": "standin", "messages": []}).to_string();
    let call = Call::new("POST", "/v1/messages", Vec::new())
        .header("x-api-key", "planted")
        .header("expect", "100-continue")
        .header("content-length", &body.len().to_string());
    let connection = Connection::to(gate.address()).expect("it listens");
    connection.stream().write_all(&call.bytes(gate.address())).expect("it reads");
    let mut go_on = [0; 25];
    connection.stream().read_exact(&mut go_on).expect("it answers");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.stream().write_all(body.as_bytes()).expect("it reads");
    let reply = connection.reply("POST").expect("it answers");
    assert_eq!(reply.status(), 200);
    reply.body().expect("a whole body");
    assert_eq!(gate.upstream_saw(1)[0].body(), body.as_bytes());
}

#[test]
fn an_upload_in_chunks_arrives_whole() {
    let gate = Gate::open();
    let body = format!("{{\"model\":\"standin\",\"messages\":[\"{}\"]}}", "y".repeat(100_000));
    let call = Call::new("POST", "/v1/messages", Vec::new())
        .header("x-api-key", "planted")
        .header("transfer-encoding", "chunked");
    let connection = Connection::to(gate.address()).expect("it listens");
    let mut to = connection.stream();
    to.write_all(&call.bytes(gate.address())).expect("it reads");
    for piece in body.as_bytes().chunks(777) {
        write!(to, "{:x}\r\n", piece.len()).expect("it reads");
        to.write_all(piece).expect("it reads");
        to.write_all(b"\r\n").expect("it reads");
    }
    to.write_all(b"0\r\n\r\n").expect("it reads");
    assert_eq!(connection.reply("POST").expect("it answers").status(), 200);
    let seen = gate.upstream_saw(1).remove(0);
    assert_eq!(seen.upload.map(|u| u.sha256), Some(sha256(body.as_bytes())));
}
