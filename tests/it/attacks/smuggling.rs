//! Requests whose end is disputed, with another one hidden behind it. Whatever becomes of the
//! first, the second must never be heard.

use super::Vault;

/// Frames of a first request, and its body. Each is followed by a hidden second one.
const SHAPES: &[(&str, &str, &str)] = &[
    ("length before chunks", "content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
    ("chunks before length", "transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
    ("two lengths", "content-length: 2\r\ncontent-length: 200\r\n", "{}"),
    ("lengths in a list", "content-length: 2, 200\r\n", "{}"),
    ("a signed length", "content-length: +2\r\n", "{}"),
    ("a negative length", "content-length: -2\r\n", "{}"),
    ("a hexadecimal length", "content-length: 0x2\r\n", "{}"),
    ("an endless length", "content-length: 99999999999999999999\r\n", "{}"),
    ("a length with words", "content-length: 2 chunked\r\n", "{}"),
    ("an unknown coding", "transfer-encoding: xchunked\r\n", "0\r\n\r\n"),
    ("identity", "transfer-encoding: identity\r\ncontent-length: 2\r\n", "{}"),
    ("chunks not last", "transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n"),
    ("chunks in a second header", "transfer-encoding: x\r\ntransfer-encoding: y\r\n", "0\r\n\r\n"),
    ("a space in a name", "transfer-encoding : chunked\r\ncontent-length: 2\r\n", "{}"),
    ("a tab in a name", "content-length\t: 2\r\n", "{}"),
    (
        "a folded header",
        "x: y\r\n content-length: 2\r\ntransfer-encoding:\r\n chunked\r\n",
        "0\r\n\r\n",
    ),
    ("a header without name", ": 2\r\ncontent-length: 2\r\n", "{}"),
    ("a header without colon", "content-length 2\r\n", "{}"),
    ("NUL in a value", "content-length: 2\0\r\n", "{}"),
    ("NUL in a name", "content-length\0: 2\r\n", "{}"),
    ("a bare CR", "x: a\rcontent-length: 2\r\ncontent-length: 2\r\n", "{}"),
    ("a quoted coding", "transfer-encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("a chunk's size with sign", "transfer-encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n"),
    ("a chunk's size in C", "transfer-encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"),
    ("a chunk too large", "transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\n{}\r\n"),
    ("a chunk that goes on", "transfer-encoding: chunked\r\n", "2\r\n{}xx\r\n0\r\n\r\n"),
    ("a chunk's size that is none", "transfer-encoding: chunked\r\n", "\r\n{}\r\n0\r\n\r\n"),
    ("chunks that end in bare LF", "transfer-encoding: chunked\r\n", "2\n{}\n0\n\n"),
    ("length and HTTP/1.0 chunks", "content-length: 2\r\ntransfer-encoding: chunked\r\n", "{}"),
];

#[test]
fn a_request_hidden_behind_another_is_never_heard() {
    let vault = Vault::open();
    let (host, pass) = (vault.host(), &vault.pass);
    let hidden = format!(
        "POST /openai/v1/hidden HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {pass}\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let mut heard = 1;
    for version in ["1.1", "1.0"] {
        for (what, frames, body) in SHAPES {
            let first = format!(
                "POST /openai/v1/chat/completions HTTP/{version}\r\nhost: {host}\r\nauthorization: Bearer {pass}\r\n{frames}\r\n{body}"
            );
            let answer = vault.exchange(format!("{first}{hidden}").as_bytes());
            let text = String::from_utf8_lossy(&answer);
            vault.tells_nothing(what, &text.replace("treasured-model", ""));
            assert!(text.matches("HTTP/1.").count() <= 1, "{what} had two answers:\n{text}");
            let seen = vault.gate.standin.seen();
            assert!(seen.len() <= heard + 1, "{what} was heard as two: {seen:#?}");
            heard = seen.len();
            for one in &seen[1..] {
                assert_eq!(one.target, "/v1/chat/completions", "{what}: {one:#?}");
                assert!(
                    !String::from_utf8_lossy(one.body()).contains("hidden"),
                    "{what}: {one:#?}"
                );
            }
        }
    }
    assert_eq!(vault.settings_now(), vault.settings);
}

#[test]
fn what_ends_a_head_early_brings_no_headers_in() {
    let vault = Vault::open();
    let (host, pass) = (vault.host(), &vault.pass);
    // Without the credential in a header of its own, none of these may be taken for a call.
    for header in [
        format!("x: a\r\n\r\nauthorization: Bearer {pass}"),
        format!("x: a\n\nauthorization: Bearer {pass}"),
        format!("x: a\r\n authorization: Bearer {pass}"),
        format!("x: a\x0bauthorization: Bearer {pass}"),
        format!("x: a\u{2028}authorization: Bearer {pass}"),
        format!("x: a%0d%0aauthorization: Bearer {pass}"),
        format!("xauthorization: Bearer {pass}"),
        format!("trailer: authorization\r\nx: {pass}"),
    ] {
        let bytes = format!(
            "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n{header}\r\n\r\n"
        );
        vault.refuses_bytes(&header.replace(pass, "…"), bytes.as_bytes());
    }
    let trailing = format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ntrailer: authorization\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nauthorization: Bearer {pass}\r\n\r\n"
    );
    assert_eq!(vault.refuses_bytes("a credential in a trailer", trailing.as_bytes()), 401);
    vault.is_unharmed();
}

#[test]
fn more_headers_than_anybody_needs_are_refused() {
    let vault = Vault::open();
    let (host, pass) = (vault.host(), &vault.pass);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(256 << 10));
    for (what, headers) in [("many headers", many), ("a large header", large)] {
        let head = format!(
            "GET /openai/v1/models HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {pass}\r\n{headers}\r\n"
        );
        assert_eq!(vault.refuses_bytes(what, head.as_bytes()), 431, "{what}");
    }
    let long = format!("GET /openai/{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "y".repeat(256 << 10));
    assert!(matches!(vault.refuses_bytes("a long target", long.as_bytes()), 414 | 431));
    vault.is_unharmed();
}
