//! Server-sent events, read byte-wise as the standard says, with the deviations seen in the
//! wild: no last blank line, no space after the colon, a bare JSON error between the events.

use memchr::memchr2;

use super::{Document, Parts};

/// Longest field name and event name that mean something to anyone.
const NAME_LIMIT: usize = 80;
/// What ends a stream that says so.
const DONE: &[u8] = b"[DONE]";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// At its first byte.
    #[default]
    Start,
    /// In the field's name.
    Name,
    /// After the colon, where one space means nothing.
    Colon(Field),
    /// In the field's value.
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
    /// No field at all but a bare JSON document.
    Bare,
}

/// Splits at blank lines.
#[derive(Debug, Default)]
pub(in crate::format) struct Sse {
    line: Line,
    after_cr: bool,
    name: Vec<u8>,
    event: Vec<u8>,
    /// The event has at least one data line.
    has_data: bool,
    /// The first bytes of its data.
    head: Vec<u8>,
    /// Inside a bare document, where lines have no fields.
    bare: bool,
}

impl Sse {
    pub(in crate::format) fn push(&mut self, mut bytes: &[u8], parts: &mut impl Parts) {
        while let Some(first) = bytes.first() {
            let was_cr = std::mem::take(&mut self.after_cr);
            if was_cr && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            match memchr2(b'\r', b'\n', bytes) {
                Some(at) => {
                    self.inside_line(&bytes[..at], parts);
                    self.after_cr = bytes[at] == b'\r';
                    self.end_line(parts);
                    bytes = &bytes[at + 1..];
                }
                None => return self.inside_line(bytes, parts),
            }
        }
    }

    fn inside_line(&mut self, mut bytes: &[u8], parts: &mut impl Parts) {
        while let Some(first) = bytes.first() {
            match self.line {
                Line::Start if self.bare || *first == b'{' => self.start_bare(parts),
                Line::Start => {
                    self.name.clear();
                    self.line = Line::Name;
                }
                Line::Name => bytes = self.in_name(bytes, parts),
                Line::Colon(field) => {
                    self.line = Line::Value(field);
                    bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
                }
                Line::Value(field) => return self.in_value(field, bytes, parts),
            }
        }
    }

    fn start_bare(&mut self, parts: &mut impl Parts) {
        if !self.bare {
            self.dispatch(parts);
        }
        self.bare = true;
        self.line = Line::Value(Field::Bare);
    }

    fn in_name<'a>(&mut self, bytes: &'a [u8], parts: &mut impl Parts) -> &'a [u8] {
        let colon = memchr::memchr(b':', bytes);
        keep(&mut self.name, &bytes[..colon.unwrap_or(bytes.len())], NAME_LIMIT);
        let Some(colon) = colon else { return &[] };
        self.line = Line::Colon(self.begin_field(parts));
        &bytes[colon + 1..]
    }

    fn begin_field(&mut self, parts: &mut impl Parts) -> Field {
        match &*self.name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    parts.bytes(b"\n");
                }
                Field::Data
            }
            b"event" => {
                self.event.clear();
                Field::Event
            }
            _ => Field::Other,
        }
    }

    fn in_value(&mut self, field: Field, bytes: &[u8], parts: &mut impl Parts) {
        match field {
            Field::Data | Field::Bare => {
                keep(&mut self.head, bytes, 2 * DONE.len());
                parts.bytes(bytes);
            }
            Field::Event => keep(&mut self.event, bytes, NAME_LIMIT),
            Field::Other => {}
        }
    }

    fn end_line(&mut self, parts: &mut impl Parts) {
        let line = std::mem::take(&mut self.line);
        if self.bare {
            parts.bytes(b"\n");
            if parts.is_complete() || parts.is_broken() {
                self.dispatch(parts);
            }
        } else if line == Line::Start {
            self.dispatch(parts);
        } else if line == Line::Name {
            self.begin_field(parts);
        }
    }

    fn dispatch(&mut self, parts: &mut impl Parts) {
        if self.head.trim_ascii() == DONE {
            parts.forget();
            parts.done();
        } else if self.has_data || self.bare {
            parts.end(Document::Event(&String::from_utf8_lossy(&self.event)));
        }
        self.event.clear();
        self.head.clear();
        self.has_data = false;
        self.bare = false;
    }

    pub(in crate::format) fn finish(&mut self, parts: &mut impl Parts) {
        if parts.is_complete() || self.head.trim_ascii() == DONE {
            self.dispatch(parts);
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
}
