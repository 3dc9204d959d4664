//! Usage assist: what it puts into a request and takes out of an answer.

use meter::format::assist::{Passing, Strip, ask};
use serde_json::{Map, Value};

use crate::{heap, pieces};

/// One event is held back, and the buffer for it may have room for twice as much.
const MOST_HELD: usize = 160 * 1024;
/// Events up to here are held back whole however they are split.
const COMPARED: usize = 64 * 1024;

/// Takes `input` as a request body and as an answer.
pub fn check(input: &[u8]) {
    check_ask(input);
    check_strip(input);
}

/// Asking changes nothing else, and is left out only for a reason.
fn check_ask(body: &[u8]) {
    let object: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let asked = ask(body);
    let Some(object) = object else { return };
    let asked: Option<Map<String, Value>> =
        asked.map(|asked| serde_json::from_slice(&asked).expect("it was an object and still is"));
    if object.contains_key("stream_options") {
        assert_eq!(asked, None);
        return;
    }
    let mut asked = asked.expect("an object without stream_options is asked");
    let options = asked.remove("stream_options").expect("that was put in");
    assert_eq!(options, serde_json::json!({"include_usage": true}));
    assert_eq!(asked, object);
}

/// The same comes out however it is split, and where all events are JSON, what the rule says.
fn check_strip(body: &[u8]) {
    let held = most_held(body);
    assert!(held <= MOST_HELD, "{held} bytes were held");
    if body.len() > COMPARED {
        return;
    }
    let whole = strip(std::iter::once(body));
    let same = |other: Vec<u8>, how: &str| {
        assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&other), "{how}");
    };
    same(strip(body.chunks(1)), "byte by byte");
    same(strip(pieces::hostile(body)), "in pieces");
    if let Some(by_the_rule) = by_the_rule(body) {
        same(by_the_rule, "by the rule");
    }
}

fn strip<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<u8> {
    let (mut strip, mut out) = (Strip::default(), Vec::new());
    for piece in pieces {
        match strip.push(piece) {
            Passing::All => out.extend_from_slice(piece),
            Passing::Nothing => {}
            Passing::Parts(parts) => out.extend(parts),
        }
    }
    out.extend(strip.finish());
    out
}

fn most_held(body: &[u8]) -> usize {
    let mut strip = None;
    let mut rest = body.chunks(4096);
    heap::most_held(|| {
        let strip = strip.get_or_insert_with(Strip::default);
        rest.next().map(|piece| drop(strip.push(piece))).is_some()
    })
}

/// The rule, written down plainly, for bodies of nothing but whole events with plain line ends.
fn by_the_rule(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    if text.contains('\r') || text.contains('\u{feff}') || !text.ends_with("\n\n") {
        return None;
    }
    let (mut out, mut is_off, mut rest) = (String::new(), false, text);
    while let Some((event, _)) = rest.split_once("\n\n") {
        let (whole, more) = rest.split_at(event.len() + 2);
        let data: Vec<&str> =
            event.lines().map(|line| line.strip_prefix("data:")).collect::<Option<_>>()?;
        rest = more;
        let data = data.join("\n");
        if data.trim() == "[DONE]" {
            out.push_str(whole);
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(&data).ok()?;
        // A key that stands twice means one thing to us and another to this parser.
        if data.matches("choices").count() != 1 || data.matches("\"usage\"").count() > 1 {
            return None;
        }
        let has_usage = object.get("usage").is_some_and(Value::is_object);
        let is_empty = object.get("choices")?.as_array()?.is_empty();
        if is_off || !(has_usage && is_empty) {
            out.push_str(whole);
        }
        is_off |= has_usage && !is_empty;
    }
    out.push_str(rest);
    Some(out.into_bytes())
}
