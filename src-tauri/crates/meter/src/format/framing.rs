//! Splits a body into JSON documents, as its framing demands. Knows no format.
//!
//! The framing is told by the answer itself (its content type and its first byte), never by
//! what the request asked for: servers answer streams to calls that wanted none and plain
//! JSON errors to calls that wanted a stream.

mod array;
mod documents;
mod frames;
mod sse;
mod text;

use array::Array;
use documents::Documents;
use frames::Frames;
pub(super) use sse::Sse;
use text::Text;

/// What a document is to its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document<'a> {
    /// All there is.
    Whole,
    /// One of many, as a line or an array's element.
    Item,
    /// A server-sent event of this name; most have none.
    Event(&'a str),
}

/// Who reads the documents.
pub(super) trait Parts {
    /// Bytes of the current document. Returns how many of them belong to it: fewer than
    /// given only when it is complete or no JSON.
    fn bytes(&mut self, bytes: &[u8]) -> usize;
    /// The current document is complete JSON.
    fn is_complete(&self) -> bool;
    /// The current document is not JSON.
    fn is_broken(&self) -> bool;
    /// The current document is over, complete or not.
    fn end(&mut self, document: Document<'_>);
    /// The current document is none: forget it.
    fn forget(&mut self);
    /// The stream says that it is over.
    fn done(&mut self);
    /// The framing says that the current document is an error, and its word for it.
    fn refuse(&mut self, _word: &str) {}
    /// What follows cannot be read.
    fn unreadable(&mut self) {}
    /// What is no JSON at all, its first part; told once, at the end.
    fn text(&mut self, text: &str);
}

/// How the documents of a body are told apart.
pub(super) enum Framing {
    /// Too early to say; these bytes and white space before them so far.
    Open(Vec<u8>),
    /// One JSON document, or one after the other.
    Documents(Documents),
    /// The elements of one array.
    Array(Array),
    /// Server-sent events.
    Sse(Sse),
    /// Binary frames.
    Frames(Frames),
    /// Something else.
    Text(Text),
}

impl Default for Framing {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

/// What a line of an event stream can begin with.
const EVENT_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// What the answer's headers say about its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Declared {
    /// `text/event-stream`
    Events,
    /// One JSON document a line.
    Lines,
    /// `application/vnd.amazon.eventstream`
    Frames,
    /// Sound, an image or a film.
    Media,
    /// Anything else or nothing.
    #[default]
    Other,
}

impl Declared {
    /// From a `content-type` header.
    pub(super) fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Events,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/x-jsonlines"
            | "application/stream+json" => Self::Lines,
            "application/vnd.amazon.eventstream" => Self::Frames,
            media if MEDIA.iter().any(|kind| media.starts_with(kind)) => Self::Media,
            _ => Self::Other,
        }
    }
}

/// What a content type of [`Declared::Media`] begins with.
const MEDIA: [&str; 3] = ["audio/", "image/", "video/"];

impl Framing {
    /// Shows the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], declared: Declared, parts: &mut impl Parts) {
        let mut bytes = bytes;
        if matches!(self, Self::Open(opening) if opening.is_empty() && declared == Declared::Frames)
        {
            // Binary from its first byte on: nothing of it is white space.
            *self = Self::Frames(Frames::default());
        }
        if let Self::Open(opening) = self {
            let Some((framing, taken)) = open(opening, bytes, declared) else { return };
            let opening = std::mem::take(opening);
            *self = framing;
            self.feed(&opening, parts);
            bytes = &bytes[taken..];
        }
        self.feed(bytes, parts);
    }

    fn feed(&mut self, bytes: &[u8], parts: &mut impl Parts) {
        match self {
            Self::Open(_) => {}
            Self::Documents(framing) => framing.push(bytes, parts),
            Self::Array(framing) => framing.push(bytes, parts),
            Self::Sse(framing) => framing.push(bytes, parts),
            Self::Frames(framing) => framing.push(bytes, parts),
            Self::Text(framing) => framing.push(bytes),
        }
    }

    /// The body is over.
    pub(super) fn finish(&mut self, parts: &mut impl Parts) {
        match self {
            Self::Sse(framing) => framing.finish(parts),
            Self::Frames(framing) => framing.finish(parts),
            Self::Text(framing) => framing.finish(parts),
            Self::Open(opening) => parts.text(&String::from_utf8_lossy(opening)),
            Self::Documents(_) | Self::Array(_) => {}
        }
    }
}

/// Collects the first bytes until they tell the framing; then also says how many it took.
fn open(opening: &mut Vec<u8>, bytes: &[u8], declared: Declared) -> Option<(Framing, usize)> {
    for (at, byte) in bytes.iter().enumerate() {
        // A byte order mark, or the blank lines that some servers send to keep alive.
        let blank = byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        if blank && opening.is_empty() {
            continue;
        }
        opening.push(*byte);
        if let Some(framing) = by_opening(opening, declared) {
            return Some((framing, at + 1));
        }
    }
    None
}

fn by_opening(opening: &[u8], declared: Declared) -> Option<Framing> {
    match (opening, declared) {
        (_, Declared::Media | Declared::Frames) => Some(Framing::Text(Text::default())),
        ([b'{', ..], _) => Some(Framing::Documents(Documents::of(declared))),
        ([b'[', ..], _) => Some(Framing::Array(Array::default())),
        (_, Declared::Events) => Some(Framing::Sse(Sse::default())),
        (_, Declared::Lines) => Some(Framing::Documents(Documents::of(declared))),
        (_, Declared::Other) if EVENT_FIELDS.iter().any(|f| opening.starts_with(f)) => {
            Some(Framing::Sse(Sse::default()))
        }
        (_, Declared::Other) if EVENT_FIELDS.iter().any(|f| f.starts_with(opening)) => None,
        (_, Declared::Other) => Some(Framing::Text(Text::default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Kind, Scanner, Sink, Want};

    struct Nothing;

    impl Sink for Nothing {
        fn want(&mut self, _path: &[&str], _kind: Kind) -> Want {
            Want::Skip
        }
    }

    /// Writes down the complete documents.
    #[derive(Default)]
    struct Notes {
        scanner: Scanner,
        current: Vec<u8>,
        heard: Vec<String>,
    }

    impl Parts for Notes {
        fn bytes(&mut self, bytes: &[u8]) -> usize {
            let taken = self.scanner.push(bytes, &mut Nothing);
            self.current.extend_from_slice(&bytes[..taken]);
            taken
        }

        fn is_complete(&self) -> bool {
            self.scanner.is_complete()
        }

        fn is_broken(&self) -> bool {
            self.scanner.is_broken()
        }

        fn end(&mut self, document: Document<'_>) {
            let event = if let Document::Event(name) = document { name } else { "" };
            let text = String::from_utf8(std::mem::take(&mut self.current)).unwrap();
            let mark = if self.is_complete() { "" } else { "?" };
            self.heard.push(format!("{event}{mark} {}", text.trim()));
            self.scanner.reset();
        }

        fn forget(&mut self) {
            self.current.clear();
            self.scanner.reset();
        }

        fn done(&mut self) {
            self.heard.push("DONE".into());
        }

        fn text(&mut self, text: &str) {
            self.heard.push(format!("text {text}"));
        }
    }

    fn heard(body: &str, declared: Declared) -> Vec<String> {
        let read = |chunks: &mut dyn Iterator<Item = &[u8]>| {
            let (mut notes, mut framing) = (Notes::default(), Framing::default());
            for chunk in chunks {
                framing.push(chunk, declared, &mut notes);
            }
            framing.finish(&mut notes);
            notes.heard
        };
        let whole = read(&mut [body.as_bytes()].into_iter());
        assert_eq!(whole, read(&mut body.as_bytes().chunks(1)), "byte by byte: {body}");
        for at in 0..body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            assert_eq!(whole, read(&mut [head, tail].into_iter()), "split at {at}: {body}");
        }
        whole
    }

    #[test]
    fn events_end_with_a_blank_line_whatever_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let body = "\u{feff}: hello\n\nevent: one\nid: 7\ndata: {\"a\":\ndata:\"日\"}\n\n\n\
                        data:{}\n\ndata\n\nretry: 1\ndata: [DONE] \n\ndata: {\"b\":1}\n\n"
                .replace('\n', end);
            let want = ["one {\"a\":\n\"日\"}", " {}", "? ", "DONE", " {\"b\":1}"];
            assert_eq!(heard(&body, Declared::Events), want, "{end:?}");
        }
    }

    #[test]
    fn the_last_event_counts_without_its_blank_line_if_it_is_complete() {
        assert_eq!(heard("data: {}", Declared::Other), [" {}"]);
        assert_eq!(heard("data: {}\n", Declared::Other), [" {}"]);
        assert_eq!(heard("data: {}\n\ndata: {\"a\"", Declared::Other), [" {}"]);
    }

    #[test]
    fn a_bare_document_among_events_is_a_document() {
        let body = "data: {}\n\n{\n \"error\": {}\n}\ndata: {\"a\":1}\n\n";
        assert_eq!(heard(body, Declared::Events), [" {}", " {\n \"error\": {}\n}", " {\"a\":1}"]);
        assert_eq!(heard("\n\n{\"error\":1}", Declared::Events), [" {\"error\":1}"]);
    }

    #[test]
    fn lines_and_garbage_between_them() {
        let body = "{\"a\":1}\n\n{\"b\":\"}\\\"{\"}\r\noops\n{\"c\":[]}";
        let want = [" {\"a\":1}", " {\"b\":\"}\\\"{\"}", "? o", " {\"c\":[]}"];
        assert_eq!(heard(body, Declared::Lines), want);
    }

    #[test]
    fn the_elements_of_an_array_are_documents() {
        let body = "[{\"a\":\"]},{\\\"\"}\r\n,\r\n{\"b\":[1]},3,{}\n]\n";
        assert_eq!(heard(body, Declared::Other), [" {\"a\":\"]},{\\\"\"}", " {\"b\":[1]}", " {}"]);
        assert_eq!(heard("[", Declared::Other), [""; 0]);
    }

    #[test]
    fn anything_else_is_text() {
        assert_eq!(heard("<p>no</p>", Declared::Other), ["text <p>no</p>"]);
        assert_eq!(heard("error: no", Declared::Other), ["text error: no"]);
        assert_eq!(heard(" \n ", Declared::Other), ["text "]);
    }
}
