//! Usage assist: asks an OpenAI-shaped stream for its usage, and takes exactly the frame it
//! asked for out of the answer again. Everything else stays as it is, byte for byte.

use std::ops::Range;

use memchr::memchr2;

use super::framing::{Document, Parts, Sse};
use crate::json::{Kind, Scanner, Sink, Want};

/// Longest event that is held back until it is known whether it is ours; longer ones pass.
const HELD_LIMIT: usize = 64 * 1024;

/// What is put into a request.
const ASK: &[u8] = br#""stream_options":{"include_usage":true}"#;

/// The body with the question put in behind its last member; none if it is not one JSON
/// object, or has `stream_options` of its own, of whatever type.
pub fn ask(body: &[u8]) -> Option<Vec<u8>> {
    let text = body.trim_ascii_end();
    let mut members = Members::default();
    let mut scanner = Scanner::default();
    let taken = scanner.push(text, &mut members);
    let is_object = scanner.is_complete() && taken == text.len() && members.is_object;
    if !is_object || members.has_options {
        return None;
    }
    let (inside, rest) = body.split_at(text.len() - 1);
    let mut asked = Vec::with_capacity(body.len() + ASK.len() + 1);
    asked.extend_from_slice(inside);
    if members.any {
        asked.push(b',');
    }
    asked.extend_from_slice(ASK);
    asked.extend_from_slice(rest);
    Some(asked)
}

#[derive(Default)]
struct Members {
    is_object: bool,
    any: bool,
    has_options: bool,
}

impl Sink for Members {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match path {
            [] => {
                self.is_object = kind == Kind::Object;
                Want::Walk
            }
            [key, ..] => {
                self.any = true;
                self.has_options |= *key == "stream_options";
                Want::Skip
            }
        }
    }
}

/// What of the bytes just shown may pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passing {
    /// All of them, and nothing was held before: pass the same chunk on.
    All,
    /// Nothing for now.
    Nothing,
    /// These bytes.
    Parts(Vec<u8>),
}

/// Takes the usage frame out of an event stream: one whose `choices` is an empty array and
/// whose `usage` is an object. A server that shows usage beside choices sends no such frame
/// because it was asked, so from there on everything passes.
#[derive(Default)]
pub struct Strip {
    sse: Sse,
    frame: Frame,
    /// Bytes of the current event from earlier chunks.
    held: Vec<u8>,
    /// Bytes of the current line.
    line: usize,
    after_cr: bool,
    /// Bytes of the current event, to know its beginning.
    event: usize,
    /// The current event passes whatever follows in it.
    is_decided: bool,
    dropped_last: bool,
    is_off: bool,
}

impl std::fmt::Debug for Strip {
    /// Without what is held: that may be content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Strip").field("is_off", &self.is_off).finish_non_exhaustive()
    }
}

/// Ranges of a chunk that pass, behind what was held before.
#[derive(Default)]
struct Kept {
    before: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Kept {
    fn add(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.is_empty() => {}
            _ => self.ranges.push(range),
        }
    }

    fn of(self, bytes: &[u8]) -> Passing {
        if self.before.is_empty() {
            match &*self.ranges {
                [] => return Passing::Nothing,
                [all] if *all == (0..bytes.len()) => return Passing::All,
                _ => {}
            }
        }
        let mut out = self.before;
        for range in self.ranges {
            out.extend_from_slice(&bytes[range]);
        }
        Passing::Parts(out)
    }
}

impl Strip {
    /// Shows the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) -> Passing {
        if self.is_off {
            return if bytes.is_empty() { Passing::Nothing } else { Passing::All };
        }
        let mut kept = Kept::default();
        let (mut at, mut from) = (0, 0);
        while at < bytes.len() && !self.is_off {
            if std::mem::take(&mut self.after_cr) && bytes[at] == b'\n' {
                // The second half of a line end; behind an event it shares its fate.
                self.sse.push(b"\n", &mut self.frame);
                at += 1;
                if self.event == 0 {
                    if !self.dropped_last {
                        kept.add(from..at);
                    }
                    from = at;
                } else {
                    self.event += 1;
                }
                continue;
            }
            let line_end = memchr2(b'\r', b'\n', &bytes[at..]).map(|found| at + found);
            let end = line_end.map_or(bytes.len(), |found| found + 1);
            self.sse.push(&bytes[at..end], &mut self.frame);
            self.event += end - at;
            self.line += end - at;
            self.is_decided |= self.frame.is_foreign();
            at = end;
            let Some(line_end) = line_end else { break };
            self.after_cr = bytes[line_end] == b'\r';
            if std::mem::take(&mut self.line) == 1 {
                self.end_event(from..at, &mut kept);
                from = at;
            }
        }
        self.rest(bytes, from, &mut kept);
        kept.of(bytes)
    }

    /// At a blank line.
    fn end_event(&mut self, range: Range<usize>, kept: &mut Kept) {
        let frame = std::mem::take(&mut self.frame);
        let held = std::mem::take(&mut self.held);
        self.is_off = frame.has_usage && frame.choices == Choices::Some;
        self.dropped_last = frame.is_ours() && !self.is_decided;
        if !self.dropped_last {
            kept.before.extend_from_slice(&held);
            kept.add(range);
        }
        self.is_decided = false;
        self.event = 0;
    }

    /// What a chunk ends with: it passes if it is decided, else it waits.
    fn rest(&mut self, bytes: &[u8], from: usize, kept: &mut Kept) {
        self.is_decided |= self.held.len() + bytes.len() - from > HELD_LIMIT;
        if self.is_decided || self.is_off {
            kept.before.append(&mut self.held);
            kept.add(from..bytes.len());
        } else {
            self.held.extend_from_slice(&bytes[from..]);
        }
    }

    /// The answer is over: what was held and may pass.
    pub fn finish(mut self) -> Vec<u8> {
        self.sse.finish(&mut self.frame);
        if self.frame.is_ours() { Vec::new() } else { self.held }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choices {
    #[default]
    Unknown,
    Empty,
    Some,
}

/// What is known of the current event.
#[derive(Default)]
struct Frame {
    scanner: Scanner,
    choices: Choices,
    has_usage: bool,
    is_complete: bool,
    is_broken: bool,
}

impl Frame {
    fn is_ours(&self) -> bool {
        self.is_complete && self.choices == Choices::Empty && self.has_usage
    }

    /// It cannot be ours, whatever follows.
    fn is_foreign(&self) -> bool {
        self.choices == Choices::Some || self.is_broken
    }
}

impl Sink for Frame {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            ([], Kind::Object) => return Want::Walk,
            (["choices"], Kind::Array) => {
                // Named twice, the first word may have let the event's beginning pass already.
                if self.choices == Choices::Unknown {
                    self.choices = Choices::Empty;
                }
                return Want::Walk;
            }
            (["choices"] | ["choices", _], _) => self.choices = Choices::Some,
            (["usage"], Kind::Object) => self.has_usage = true,
            _ => {}
        }
        Want::Skip
    }
}

impl Parts for Frame {
    fn bytes(&mut self, bytes: &[u8]) -> usize {
        let mut scanner = std::mem::take(&mut self.scanner);
        let taken = scanner.push(bytes, self);
        self.is_broken |= scanner.is_broken();
        self.scanner = scanner;
        taken
    }

    fn is_complete(&self) -> bool {
        self.scanner.is_complete()
    }

    fn is_broken(&self) -> bool {
        self.scanner.is_broken()
    }

    fn end(&mut self, _document: Document<'_>) {
        self.is_complete = self.scanner.is_complete();
        self.scanner.reset();
    }

    fn forget(&mut self) {
        self.scanner.reset();
    }

    fn done(&mut self) {}

    fn text(&mut self, _text: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n";
    const OURS: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// The stream after stripping, in pieces of every size.
    fn stripped(stream: &str) -> String {
        let pass = |size: usize| {
            let (mut strip, mut out) = (Strip::default(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                match strip.push(piece) {
                    Passing::All => out.extend_from_slice(piece),
                    Passing::Nothing => {}
                    Passing::Parts(parts) => out.extend(parts),
                }
            }
            out.extend(strip.finish());
            String::from_utf8(out).unwrap()
        };
        let whole = pass(stream.len());
        for size in 1..stream.len() {
            assert_eq!(whole, pass(size), "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn exactly_the_frame_that_was_asked_for_is_taken_out() {
        let first = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n: ping\n\n";
        for end in ["\n", "\r\n"] {
            let with = format!("{first}{CHUNK}{CHUNK}{OURS}{DONE}").replace('\n', end);
            let without = format!("{first}{CHUNK}{CHUNK}{DONE}").replace('\n', end);
            assert_eq!(stripped(&with), without);
        }
        assert_eq!(stripped(&format!("{CHUNK}{}", OURS.trim_end())), CHUNK);
    }

    #[test]
    fn a_server_that_shows_usage_beside_choices_is_left_alone() {
        let finish = "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let stream = format!("{CHUNK}{finish}{OURS}{DONE}");
        assert_eq!(stripped(&stream), stream);
    }

    #[test]
    fn whatever_is_no_such_frame_passes() {
        for stream in [
            "{\"error\":{\"message\":\"no\"}}",
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"choices\":[],\"usage\":{}",
            "event: x\n\ndata\n\n\n\nhello",
        ] {
            assert_eq!(stripped(stream), stream);
        }
    }

    #[test]
    fn a_frame_that_names_its_choices_twice_passes_however_it_is_split() {
        let twice = "data: {\"choices\":[{}],\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        assert_eq!(stripped(twice), twice);
    }

    #[test]
    fn content_is_not_held_back() {
        let mut strip = Strip::default();
        assert_eq!(strip.push(CHUNK.as_bytes()), Passing::All);
        let (head, tail) = CHUNK.split_at(CHUNK.find("delta").unwrap());
        assert_eq!(strip.push(head.as_bytes()), Passing::All);
        assert_eq!(strip.push(tail.as_bytes()), Passing::All);
        assert_eq!(strip.push(b"data: {\"id\""), Passing::Nothing);
        let long = vec![b' '; HELD_LIMIT];
        assert!(
            matches!(strip.push(&long), Passing::Parts(parts) if parts.len() == 11 + HELD_LIMIT)
        );
        assert!(strip.held.is_empty());
    }

    #[test]
    fn the_question_is_the_last_member_of_the_body() {
        let asked = |body: &str| ask(body.as_bytes()).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(
            asked("{ \"stream\": true } \n").as_deref(),
            Some("{ \"stream\": true ,\"stream_options\":{\"include_usage\":true}} \n")
        );
        assert_eq!(asked("{}").as_deref(), Some("{\"stream_options\":{\"include_usage\":true}}"));
        for body in ["", "[]", "{\"a\":1", "{} {}", "{\"stream_options\":null}", "{\"a\" 1}"] {
            assert_eq!(asked(body), None, "{body}");
        }
        assert!(asked("{\"a\":{\"stream_options\":{}}}").is_some());
    }
}
