//! The text of JSON strings: where it ends, what its characters are, how it is cut and undone from
//! its escapes. Knows no documents.

use std::borrow::Cow;

use memchr::memchr2;

use super::Want;
use crate::request::TextCount;

/// Where in an escape a string has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    No,
    Slash,
    Hex { left: u8, unit: u16 },
}

/// Reads on inside a string, at what may be in the middle of an escape: its characters, if they are
/// wanted, how many bytes that took, and whether the closing quote was the last of them.
pub(super) fn run_of_text(
    escape: &mut Escape,
    want: Want,
    bytes: &[u8],
) -> (TextCount, usize, bool) {
    let counts = want == Want::Count;
    let mut text = TextCount::default();
    let mut at = 0;
    let mut ended = false;
    while at < bytes.len() && !ended {
        let rest = &bytes[at..];
        match *escape {
            Escape::No => {
                let run = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                if counts {
                    text.add_utf8(&rest[..run]);
                }
                ended = rest.get(run) == Some(&b'"');
                if rest.get(run) == Some(&b'\\') {
                    *escape = Escape::Slash;
                }
                at += rest.len().min(run + 1);
            }
            Escape::Slash => {
                *escape = match rest[0] {
                    b'u' if counts => Escape::Hex { left: 4, unit: 0 },
                    _ => Escape::No,
                };
                if counts && *escape == Escape::No {
                    text.spaced += 1;
                }
                at += 1;
            }
            Escape::Hex { left: 0, unit } => {
                text.add_utf16(unit);
                *escape = Escape::No;
            }
            Escape::Hex { left, unit } => match (rest[0] as char).to_digit(16) {
                Some(digit) => {
                    let unit = unit << 4 | digit as u16;
                    *escape = Escape::Hex { left: left - 1, unit };
                    at += 1;
                }
                None => *escape = Escape::No,
            },
        }
    }
    (text, at, ended)
}

/// How long the text of a string is, if all of it has come and nothing in it is escaped.
pub(super) fn plain_string(bytes: &[u8]) -> Option<usize> {
    memchr2(b'"', b'\\', bytes).filter(|end| bytes[*end] == b'"')
}

/// Bytes as text; nearly always they are.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Cuts back to the last whole character or escape, and puts the closing quote.
pub(super) fn close_string(token: &mut Vec<u8>) {
    while token.last().is_some_and(|b| b & 0xc0 == 0x80) && std::str::from_utf8(token).is_err() {
        token.pop();
    }
    if token.last().is_some_and(|b| *b >= 0xc0) {
        token.pop();
    }
    if let Some(cut) = open_escape(token) {
        token.truncate(cut);
    }
    token.push(b'"');
}

/// Where an escape begins that does not end within the text.
fn open_escape(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(slash) = memchr::memchr(b'\\', &text[at..]).map(|found| at + found) {
        let long = if text.get(slash + 1) == Some(&b'u') { 6 } else { 2 };
        if slash + long > text.len() {
            return Some(slash);
        }
        at = slash + long;
    }
    None
}

/// Appends the text of a JSON string given without its quotes.
pub(super) fn push_unescaped(out: &mut String, inner: &[u8]) {
    let text = text_of(inner);
    if !inner.contains(&b'\\') {
        out.push_str(&text);
        return;
    }
    match serde_json::from_str::<String>(&format!("\"{text}\"")) {
        Ok(text) => out.push_str(&text),
        Err(_) => out.push_str(&text),
    }
}

/// The text of a JSON string with its quotes, or of any other scalar as it stands.
pub(crate) fn plain(json: &str) -> String {
    let mut out = String::new();
    push_plain(&mut out, json);
    out
}

/// The same, behind what is there.
pub(crate) fn push_plain(out: &mut String, json: &str) {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => push_unescaped(out, inner.as_bytes()),
        None => out.push_str(json),
    }
}
