//! The AWS event stream: binary frames with checksums. The payload of most is one JSON
//! document; that of a `chunk` is one document in base64 inside another.
//!
//! Layout: total length, length of the headers, checksum of both; headers; payload; checksum
//! of all before (smithy.io/2.0/aws/amazon-eventstream.html, read 2026-11-20).

use crc32fast::Hasher;

use super::{Document, Parts};

/// Lengths and checksum in front of the headers.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Bytes of headers that are read; frames with more are passed over.
const HEADER_LIMIT: usize = 4 * 1024;
/// What stands in front of the inner document of a chunk.
const INNER: &[u8] = b"\"bytes\":\"";

/// Splits at the frames' ends.
#[derive(Debug, Default)]
pub(in crate::format) struct Frames {
    state: State,
    /// The prelude, headers or checksum as far as they have come.
    held: Vec<u8>,
    checksum: Hasher,
    /// Bytes of headers and of payload that are still to come.
    headers: usize,
    payload: usize,
    event: String,
    inner: Inner,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Prelude,
    Headers,
    Payload,
    Checksum,
    /// A checksum was wrong: nothing can be trusted from there on.
    Lost,
}

/// Where in a chunk's payload we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inner {
    /// The payload is the document.
    #[default]
    Plain,
    /// So many bytes of what stands in front of it have passed.
    Before(usize),
    /// Inside, with so many bits left over from the last letters.
    Inside {
        bits: u32,
        count: u32,
        is_first: bool,
    },
    Behind,
}

impl Frames {
    pub(super) fn push(&mut self, mut bytes: &[u8], parts: &mut impl Parts) {
        while !bytes.is_empty() && self.state != State::Lost {
            let taken = match self.state {
                State::Prelude => self.prelude(bytes),
                State::Headers => self.header_bytes(bytes, parts),
                State::Payload => self.payload_bytes(bytes, parts),
                State::Checksum => self.end(bytes, parts),
                State::Lost => bytes.len(),
            };
            bytes = &bytes[taken..];
            if self.state == State::Payload && self.payload == 0 {
                self.state = State::Checksum;
            }
        }
    }

    /// Takes bytes until `wanted` are held.
    fn hold(&mut self, bytes: &[u8], wanted: usize) -> (usize, bool) {
        let taken = bytes.len().min(wanted - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        (taken, self.held.len() == wanted)
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self.held.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    fn prelude(&mut self, bytes: &[u8]) -> usize {
        let (taken, is_whole) = self.hold(bytes, PRELUDE);
        if is_whole {
            let (total, headers) = (self.number(0) as usize, self.number(4) as usize);
            let payload = total.checked_sub(PRELUDE + CHECKSUM + headers);
            let is_right = crc32fast::hash(&self.held[..8]) == self.number(8);
            self.state = match payload.filter(|_| is_right) {
                Some(payload) => {
                    self.payload = payload;
                    self.headers = headers;
                    State::Headers
                }
                None => State::Lost,
            };
            self.checksum = Hasher::new();
            self.checksum.update(&self.held);
            self.held.clear();
        }
        taken
    }

    fn header_bytes(&mut self, bytes: &[u8], parts: &mut impl Parts) -> usize {
        let taken = bytes.len().min(self.headers);
        let room = HEADER_LIMIT - self.held.len();
        self.held.extend_from_slice(&bytes[..taken.min(room)]);
        self.checksum.update(&bytes[..taken]);
        self.headers -= taken;
        if self.headers == 0 {
            self.begin(parts);
            self.held.clear();
            self.state = State::Payload;
        }
        taken
    }

    /// The headers are whole: what is this frame?
    fn begin(&mut self, parts: &mut impl Parts) {
        let header = |name| string_header(&self.held, name);
        let is_event = header(":message-type").is_none_or(|kind| kind == "event");
        let word = [":event-type", ":exception-type", ":error-code"].into_iter().find_map(header);
        self.event = word.unwrap_or_default();
        self.inner = if self.event == "chunk" { Inner::Before(0) } else { Inner::Plain };
        if !is_event {
            parts.refuse(&self.event);
        }
    }

    fn payload_bytes(&mut self, bytes: &[u8], parts: &mut impl Parts) -> usize {
        let taken = bytes.len().min(self.payload);
        self.payload -= taken;
        let bytes = &bytes[..taken];
        self.checksum.update(bytes);
        match self.inner {
            Inner::Plain => {
                parts.bytes(bytes);
            }
            Inner::Before(_) | Inner::Inside { .. } | Inner::Behind => self.unpack(bytes, parts),
        }
        taken
    }

    /// Finds the inner document of a chunk and shows it.
    fn unpack(&mut self, bytes: &[u8], parts: &mut impl Parts) {
        let mut out = Vec::with_capacity(bytes.len() * 3 / 4 + 3);
        for byte in bytes {
            self.inner = match self.inner {
                Inner::Before(at) if *byte == INNER[at] && at + 1 == INNER.len() => {
                    Inner::Inside { bits: 0, count: 0, is_first: true }
                }
                Inner::Before(at) if *byte == INNER[at] => Inner::Before(at + 1),
                Inner::Before(_) if byte.is_ascii_whitespace() => self.inner,
                Inner::Before(_) => Inner::Before(usize::from(*byte == INNER[0])),
                Inner::Inside { bits, count, is_first } => match letter(*byte) {
                    Some(six) if count + 6 >= 8 => {
                        let (bits, count) = (bits << 6 | six, count + 6 - 8);
                        let next = (bits >> count) as u8;
                        // An agent's chunk is bare text, which says nothing.
                        if is_first && next != b'{' {
                            Inner::Behind
                        } else {
                            out.push(next);
                            Inner::Inside { bits: bits & 0xff, count, is_first: false }
                        }
                    }
                    Some(six) => {
                        Inner::Inside { bits: bits << 6 | six, count: count + 6, is_first }
                    }
                    None => Inner::Behind,
                },
                Inner::Plain | Inner::Behind => self.inner,
            };
        }
        parts.bytes(&out);
    }

    fn end(&mut self, bytes: &[u8], parts: &mut impl Parts) -> usize {
        let (taken, is_whole) = self.hold(bytes, CHECKSUM);
        if is_whole {
            let is_right = self.number(0) == std::mem::take(&mut self.checksum).finalize();
            self.held.clear();
            self.state = if is_right { State::Prelude } else { State::Lost };
            if is_right {
                parts.end(Document::Event(&self.event));
            } else {
                parts.forget();
            }
        }
        taken
    }

    pub(super) fn finish(&self, parts: &mut impl Parts) {
        if self.state == State::Lost {
            parts.unreadable();
        }
    }
}

/// The value of a string header.
fn string_header(mut headers: &[u8], wanted: &str) -> Option<String> {
    while let Some((length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        let (skipped, size) = match kind {
            0 | 1 => (0, 0),
            2 => (0, 1),
            3 => (0, 2),
            4 => (0, 4),
            5 | 8 => (0, 8),
            6 | 7 => (2, usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?))),
            9 => (0, 16),
            _ => return None,
        };
        let (value, rest) = rest.get(skipped..)?.split_at_checked(size)?;
        if name == wanted.as_bytes() && *kind == 7 {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
        headers = rest;
    }
    None
}

/// The six bits of a base64 letter.
fn letter(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}
