//! What is read piece by piece against what is read whole: other people's parsers take the whole
//! body at once, and both must come to the same.

use std::io::Read as _;

use meter::format::{End, Format, Reading, Seen};
use meter::provider::Provider;
use meter::request::{Asked, RequestScanner};
use serde_json::Value;

use crate::{answer, pieces};

/// First bytes that mean a request, and coded bytes; all others begin an answer.
pub const REQUEST: u8 = 254;
pub const CODED: u8 = 253;

/// Longer bodies meet the readers' bounds, which other parsers do not have.
const COMPARED: usize = 12 * 1024;
/// As are longer names.
const NAME: usize = 100;

/// Reads the rest of `input` as its first byte says.
pub fn check(input: &[u8]) {
    match input.split_first() {
        _ if input.len() > COMPARED => {}
        Some((&REQUEST, body)) => request(body),
        Some((&CODED, body)) => coded(body),
        _ => check_answer(input),
    }
}

/// A request's few facts, by a parser of JSON.
fn request(body: &[u8]) {
    let route = Provider::declared("any", "http://any.test").route("POST", "/v1/chat/completions");
    let mut scanner = RequestScanner::new(&route, Some("application/json"));
    pieces::hostile(body).for_each(|piece| scanner.push(piece));
    scanner.finish();
    let asked: &Asked = scanner.asked();
    let whole: Option<Value> = serde_json::from_slice(body).ok();
    let Some(whole) = whole.as_ref().and_then(Value::as_object) else { return };
    if repeats_a_key(body) {
        return;
    }
    assert!(asked.is_complete_object, "it is one object");
    let model = whole.get("model").and_then(Value::as_str);
    if model.is_none_or(|model| model.len() <= NAME && !model.is_empty()) {
        assert_eq!(asked.model.as_deref(), model, "the model");
    }
    assert_eq!(asked.stream, whole.get("stream") == Some(&Value::Bool(true)), "the stream flag");
    assert_eq!(asked.has_stream_options, whole.contains_key("stream_options"));
}

/// Whether any name stands twice in the outermost object: parsers may take either.
fn repeats_a_key(body: &[u8]) -> bool {
    struct Names(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            struct All;
            impl<'de> serde::de::Visitor<'de> for All {
                type Value = Names;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<M: serde::de::MapAccess<'de>>(
                    self,
                    mut map: M,
                ) -> Result<Names, M::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }
            input.deserialize_map(All)
        }
    }
    let Ok(Names(mut names)) = serde_json::from_slice(body) else { return true };
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() != all
}

/// An answer: once as it came, in pieces, and once written anew from what it means.
fn check_answer(input: &[u8]) {
    let Some((call, body)) = answer::Call::of(input) else { return };
    let read = call.read(pieces::hostile(body), End::Complete);
    let Ok(text) = std::str::from_utf8(body) else { return };
    let anew = match call.content_type() {
        "application/json" if is_json(text) => {
            by_pointers(&call, body, &read.1);
            Some(json_anew(text))
        }
        "text/event-stream" => events_anew(text),
        "application/x-ndjson" => lines_anew(text),
        _ => None,
    };
    let Some(anew) = anew else { return };
    let again = call.read(std::iter::once(anew.as_bytes()), End::Complete);
    assert_eq!(comparable(read), comparable(again), "written anew as\n{anew}");
}

/// An object or a list that other parsers take: with texts that are none, such as half of a
/// pair of surrogates, they do not come to the end.
fn is_json(text: &str) -> bool {
    let is_one = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    is_one && serde_json::from_str::<Value>(text).is_ok()
}

/// A usage object is the same whatever way its texts are escaped.
fn comparable((seen, mut reading): (Seen, Reading)) -> (Seen, Reading, Option<Value>) {
    let raw = reading.usage_raw.take();
    (seen, reading, raw.and_then(|raw| serde_json::from_str(raw.as_str()).ok()))
}

/// What tells a whole answer of these formats, where all that a receipt needs stands outside.
const TOLD_BY: [(Format, &str); 2] =
    [(Format::OpenaiChat, "choices"), (Format::OpenaiResponses, "output")];

/// The few facts of a whole answer, by a parser of JSON.
fn by_pointers(call: &answer::Call, body: &[u8], read: &Reading) {
    let whole: Option<Value> = serde_json::from_slice(body).ok();
    let told_by = TOLD_BY.iter().find(|(format, _)| Some(*format) == call.format());
    let (Some(whole), Some((_, told_by))) = (whole.as_ref().and_then(Value::as_object), told_by)
    else {
        return;
    };
    // Some say more elsewhere, and that belongs to the usage.
    let says_more =
        ["x_groq", "usage_breakdown", "tool_usage"].iter().any(|name| whole.contains_key(*name));
    let is_answer = whole.get(*told_by).is_some_and(Value::is_array) && !says_more;
    if !is_answer || repeats_a_key(body) || !call.is_success() {
        return;
    }
    let short = |name: &str| {
        let text = whole.get(name).and_then(Value::as_str);
        text.filter(|text| (1..=NAME).contains(&text.len()))
    };
    if let (Some(id), Some(read)) = (short("id"), &read.response_id) {
        assert_eq!(&**read, id, "the id");
    }
    if let (Some(model), Some(read)) = (short("model"), &read.model) {
        assert_eq!(&**read, model, "the model");
    }
    if let (Some(raw), Some(usage)) = (&read.usage_raw, whole.get("usage")) {
        let raw: Option<Value> = serde_json::from_str(raw.as_str()).ok();
        assert_eq!(raw.as_ref(), Some(usage), "the usage object");
    }
}

/// The same JSON with other white space and its texts escaped another way.
fn json_anew(json: &str) -> String {
    let mut anew = String::with_capacity(2 * json.len());
    let mut rest = json;
    while let Some(next) = rest.chars().next() {
        if next == '"' {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let text = texts.next().and_then(Result::ok).expect("the whole was JSON");
            rest = &rest[texts.byte_offset()..];
            put_text(&mut anew, &text);
            continue;
        }
        rest = &rest[next.len_utf8()..];
        match next {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '}' | '[' | ']' | ':' | ',' => anew.extend(['\n', next, '\t', ' ']),
            _ => anew.push(next),
        }
    }
    anew
}

/// As writers do that keep to ASCII: names of members and other words stay as they are.
fn put_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '/' => out.push_str("\\/"),
            ' '..='~' if !matches!(letter, '"' | '\\') => out.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out.push('"');
}

/// The events of a stream by the standard's rules (html.spec.whatwg.org, server-sent events),
/// written with other line ends, comments between and no space after the colon. Absent: it does
/// not end with a whole event, or has none.
fn events_anew(text: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    // What begins like JSON is taken for it, whatever it says to be, and a field behind a space is
    // one to us and none to the standard.
    let is_odd = lines.split('\n').any(|line| line.starts_with([' ', '\t', '{', '[']));
    if !lines.ends_with("\n\n") || is_odd {
        return None;
    }
    let mut anew = String::from(": written anew\r\n");
    let (mut event, mut data, mut events) = (None, Vec::new(), 0);
    for line in lines.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event = Some(value),
            "data" => data.push(value),
            "" if line.is_empty() && !data.is_empty() => {
                // What is none is read as far as it goes, and that depends on where it is cut.
                let whole = data.join("\n");
                if !is_json(&whole) && whole != "[DONE]" {
                    return None;
                }
                for line in data.drain(..) {
                    anew.push_str(&format!("data:{}{line}\r\n: so it is\r\n", space(line)));
                }
                if let Some(event) = event.take() {
                    anew.push_str(&format!("event:{}{event}\r\n", space(event)));
                }
                anew.push_str("id: 7\r\n\r\n");
                events += 1;
            }
            "" if line.is_empty() => event = None,
            _ => {}
        }
    }
    (events > 0).then_some(anew)
}

/// A value that begins with a space needs another one before it.
fn space(value: &str) -> &'static str {
    if value.starts_with(' ') { " " } else { "" }
}

/// Lines of JSON, each written anew. Absent: one of them is none, or there are none.
fn lines_anew(text: &str) -> Option<String> {
    let mut anew = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !is_json(line) {
            return None;
        }
        anew.push_str(&json_anew(line).replace('\n', " "));
        anew.push_str("\r\n\r\n");
    }
    (!anew.is_empty()).then_some(anew)
}

/// Coded bytes, decoded whole by the libraries' own readers.
fn coded(body: &[u8]) {
    let Some((kind, body)) = body.split_first() else { return };
    let (coding, whole) = match kind % 3 {
        0 => ("gzip", all(flate2::read::MultiGzDecoder::new(body))),
        1 => ("br", all(brotli::Decompressor::new(body, 4096))),
        _ => ("zstd", all_zstd(body)),
    };
    let Some(whole) = whole else { return };
    let pieces = crate::decode::decoded(coding, pieces::hostile(body));
    // What follows a whole body is garbage to ours and nothing to theirs, and theirs take windows of
    // any size.
    if pieces.is_none() && coding != "gzip" {
        return;
    }
    assert_eq!(pieces.as_deref(), Some(&*whole), "{coding}");
}

/// What a reader yields, if it is whole and not large.
fn all(reader: impl std::io::Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = reader.take(1 << 20).read_to_end(&mut out).ok()?;
    (read < 1 << 20).then_some(out)
}

fn all_zstd(body: &[u8]) -> Option<Vec<u8>> {
    all(zstd::Decoder::new(body).ok()?)
}
